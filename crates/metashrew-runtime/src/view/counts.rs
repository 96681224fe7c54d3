//! Kinds that count, name and serialise themselves: each is written once.

/// Declares an enum of kinds, and a struct with a count for each.
macro_rules! counted {
    (
        $(#[$kind_doc:meta])* enum $Kind:ident;
        $(#[$counts_doc:meta])* struct $Counts:ident;
        $($(#[$doc:meta])* $name:ident: $Variant:ident,)+
    ) => {
        $(#[$kind_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $Kind {
            $($(#[$doc])* $Variant,)+
        }

        impl $Kind {
            /// All of them.
            pub const ALL: [Self; [$(stringify!($name)),+].len()] = [$(Self::$Variant),+];

            /// A fixed word for it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => stringify!($name),)+
                }
            }
        }

        $(#[$counts_doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
        pub struct $Counts {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl $Counts {
            /// All of them, each with a fixed word for it.
            pub fn by_kind(&self) -> [(&'static str, u64); $Kind::ALL.len()] {
                [$((stringify!($name), self.$name)),+]
            }

            /// All of them together.
            pub fn total(&self) -> u64 {
                0 $(+ self.$name)+
            }

            pub(in crate::view) fn count(&mut self, kind: $Kind) {
                match kind {
                    $($Kind::$Variant => self.$name += 1,)+
                }
            }

            pub(in crate::view) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

pub(in crate::view) use counted;

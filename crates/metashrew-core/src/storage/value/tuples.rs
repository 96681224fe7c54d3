//! Tuples as values, and structs by `record!`.

use super::{EncodingError, Value};

macro_rules! tuples {
    ($(($($part:ident $index:tt),+; $last:ident $last_index:tt))*) => {$(
        impl<$($part: Value,)+ $last: Value> Value for ($($part,)+ $last) {
            fn encode(&self, bytes: &mut Vec<u8>) {
                $(self.$index.encode(bytes);)+
                self.$last_index.encode(bytes);
            }

            fn decode(input: &mut &[u8]) -> Result<Self, EncodingError> {
                Ok(($($part::decode(input)?,)+ $last::decode(input)?))
            }

            fn encode_last(&self, bytes: &mut Vec<u8>) {
                $(self.$index.encode(bytes);)+
                self.$last_index.encode_last(bytes);
            }

            fn decode_last(mut input: &[u8]) -> Result<Self, EncodingError> {
                Ok(($($part::decode(&mut input)?,)+ $last::decode_last(input)?))
            }

            fn type_name() -> String {
                let parts = [$($part::type_name(),)+ $last::type_name()];
                format!("({})", parts.join(", "))
            }
        }
    )*};
}

tuples! {
    (A 0; B 1)
    (A 0, B 1; C 2)
    (A 0, B 1, C 2; D 3)
    (A 0, B 1, C 2, D 3; E 4)
    (A 0, B 1, C 2, D 3, E 4; F 5)
}

/// Declares a struct that is a [`Value`](crate::storage::Value): its fields, one after the other.
///
/// ```
/// use metashrew_core::storage::Map;
///
/// metashrew_core::record! {
///     /// A token and who made it.
///     #[derive(Debug, Clone, PartialEq)]
///     pub struct Token {
///         pub owner: [u8; 20],
///         pub supply: u128,
///         pub symbol: String,
///     }
/// }
///
/// const TOKENS: Map<u32, Token> = Map::new("tokens");
/// let token = Token { owner: [7; 20], supply: 21, symbol: "RARE".to_owned() };
/// TOKENS.set(1, &token)?;
/// assert_eq!(TOKENS.get(1)?, Some(token));
/// # Ok::<_, metashrew_core::storage::StorageError>(())
/// ```
///
/// The bytes have no names and no version. A field that is added, moved or removed needs a new
/// state, or a table of another name; where records are to grow, use protobuf messages.
#[macro_export]
macro_rules! record {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type,)+
        }

        impl $crate::storage::Value for $name {
            fn encode(&self, bytes: &mut ::std::vec::Vec<u8>) {
                $(<$type as $crate::storage::Value>::encode(&self.$field, bytes);)+
            }

            fn decode(
                input: &mut &[u8],
            ) -> ::core::result::Result<Self, $crate::storage::EncodingError> {
                ::core::result::Result::Ok(Self {
                    $($field: <$type as $crate::storage::Value>::decode(input)?,)+
                })
            }

            fn type_name() -> ::std::string::String {
                let fields = [$(::std::format!(
                    "{}: {}",
                    ::core::stringify!($field),
                    <$type as $crate::storage::Value>::type_name(),
                )),+];
                ::std::format!("{} {{ {} }}", ::core::stringify!($name), fields.join(", "))
            }
        }
    };
}

//! Tuples as keys: their parts, one after the other.

use super::{AsKey, Key, TextKey};

/// A key of several parts, of which the first can be fixed:
/// [`prefix`](crate::storage::Map::prefix).
///
/// ```
/// use metashrew_core::storage::CompoundKey;
///
/// fn split<K: CompoundKey<First = u32, Rest = (u8, bool)>>() {}
/// split::<(u32, u8, bool)>();
/// ```
pub trait CompoundKey: Key {
    /// Its first part.
    type First: Key;
    /// The others.
    type Rest: Key;
}

impl<K1: Key, K2: Key> CompoundKey for (K1, K2) {
    type First = K1;
    type Rest = K2;
}

impl<K1: Key, K2: Key, K3: Key> CompoundKey for (K1, K2, K3) {
    type First = K1;
    type Rest = (K2, K3);
}

impl<K1: Key, K2: Key, K3: Key, K4: Key> CompoundKey for (K1, K2, K3, K4) {
    type First = K1;
    type Rest = (K2, K3, K4);
}

macro_rules! tuple_keys {
    ($(($first:ident, $($rest:ident),+: $($key:ident $part:ident $index:tt),+))*) => {$(
        impl<$first: TextKey, $($rest: Key),+> TextKey for ($first, $($rest),+) {
            type Start = $first::Start;

            fn encode_start(start: &Self::Start, key: &mut Vec<u8>) {
                $first::encode_start(start, key);
            }
        }

        impl<$($key, $part: AsKey<$key>),+> AsKey<($($key,)+)> for ($($part,)+) {
            fn encode(&self, key: &mut Vec<u8>) {
                $(self.$index.encode(key);)+
            }
        }

        impl<$($key: Key),+> Key for ($($key,)+) {
            fn decode(input: &mut &[u8]) -> Option<Self> {
                Some(($($key::decode(input)?,)+))
            }

            fn types(types: &mut Vec<String>) {
                $($key::types(types);)+
            }
        }
    )*};
}

tuple_keys! {
    (K1, K2: K1 A 0, K2 B 1)
    (K1, K2, K3: K1 A 0, K2 B 1, K3 C 2)
    (K1, K2, K3, K4: K1 A 0, K2 B 1, K3 C 2, K4 D 3)
}

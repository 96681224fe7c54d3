//! Hashes of blocks and transactions.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash in the byte order of hashing; people write it the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = self.0;
        bytes.reverse();
        serializer.serialize_str(&hex::encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&*text, &mut bytes)
            .map_err(|_| serde::de::Error::custom("a hash has 64 hex digits"))?;
        bytes.reverse();
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_backwards() {
        let text = format!("\"01{}ff\"", "00".repeat(30));
        let hash: Hash = serde_json::from_str(&text).unwrap();
        assert_eq!((hash.0[0], hash.0[31]), (0xff, 1));
        assert_eq!(serde_json::to_string(&hash).unwrap(), text);
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in ["\"\"", "\"00\"", "7", &format!("\"{}\"", "zz".repeat(32))] {
            assert!(serde_json::from_str::<Hash>(text).is_err(), "{text}");
        }
    }
}

//! Names of inscriptions.

use std::fmt;

/// An inscription's id: the transaction that made it, and its number among the
/// transaction's envelopes.
///
/// ```
/// use metashrew_support::raw::InscriptionId;
///
/// let id = InscriptionId { txid: [0xab; 32], index: 258 };
/// assert_eq!(id.to_value(), [&[0xab; 32][..], &[2, 1]].concat());
/// assert_eq!(InscriptionId::from_value(&id.to_value()), Some(id));
/// assert_eq!(id.to_string(), "ab".repeat(32) + "i258");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InscriptionId {
    /// The transaction, in the byte order of hashing.
    pub txid: [u8; 32],
    /// The envelope's number, counted from 0 over all inputs.
    pub index: u32,
}

impl InscriptionId {
    /// Reads the value of a field that names an inscription: the transaction, and the
    /// number in at most four bytes, little-endian, which ends in no zero unless it has
    /// all four.
    ///
    /// ```
    /// use metashrew_support::raw::InscriptionId;
    ///
    /// let id = InscriptionId::from_value(&[&[0xab; 32][..], &[7]].concat());
    /// assert_eq!(id.map(|id| id.index), Some(7));
    /// assert_eq!(InscriptionId::from_value(b"no id"), None);
    /// ```
    pub fn from_value(value: &[u8]) -> Option<Self> {
        let (txid, number) = value.split_first_chunk()?;
        let padded = number.len() < 4 && number.last() == Some(&0);
        if padded || number.len() > 4 {
            return None;
        }
        let mut index = [0; 4];
        for (index, byte) in index.iter_mut().zip(number) {
            *index = *byte;
        }
        Some(Self {
            txid: *txid,
            index: u32::from_le_bytes(index),
        })
    }

    /// The value of a field that names it, in as few bytes as can be.
    ///
    /// ```
    /// use metashrew_support::raw::InscriptionId;
    ///
    /// let id = InscriptionId { txid: [0xab; 32], index: 0 };
    /// assert_eq!(id.to_value(), [0xab; 32]);
    /// ```
    pub fn to_value(self) -> Vec<u8> {
        let index = self.index.to_le_bytes();
        let zeros = index.iter().rev().take_while(|byte| **byte == 0).count();
        let index = index.iter().take(index.len() - zeros).copied();
        self.txid.into_iter().chain(index).collect()
    }
}

impl fmt::Display for InscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.txid.iter().rev() {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "i{}", self.index)
    }
}

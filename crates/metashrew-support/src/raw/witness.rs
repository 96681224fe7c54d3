//! The witness of an input, read item by item.

use super::reader::{Flaw, Reader};

/// Items that unlock an output; most inputs before segregated witness have none.
///
/// ```
/// # let block = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/block-840243.bin"));
/// let block = metashrew_support::raw::Block::parse(block)?;
/// for transaction in block.transactions() {
///     for input in transaction.inputs {
///         let sizes: Vec<usize> = input.witness.iter().map(<[u8]>::len).collect();
///         assert_eq!(sizes.len(), input.witness.len());
///     }
/// }
/// # Ok::<(), metashrew_support::raw::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Witness<'a> {
    /// How many items, then each with its length in front; checked when they were
    /// read. Nothing, if there are none.
    encoded: &'a [u8],
}

/// The items of a [`Witness`], in order.
///
/// ```
/// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
/// # let inputs = block.transactions().nth(1).unwrap().inputs;
/// let mut items = inputs[0].witness.iter();
/// items.next(); // The signature.
/// assert_eq!(items.len(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Items<'a> {
    left: usize,
    reader: Reader<'a>,
}

impl<'a> Witness<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Flaw> {
        let start = *reader;
        let count = reader.length()?;
        if count == 0 {
            return Ok(Self::default());
        }
        for _ in 0..count {
            reader.sized()?;
        }
        let encoded = start.until(reader);
        Ok(Self { encoded })
    }

    /// How many items there are.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let inputs = block.transactions().nth(1).unwrap().inputs;
    /// assert_eq!(inputs[0].witness.len(), 3);
    /// ```
    pub fn len(&self) -> usize {
        self.iter().left
    }

    /// Whether there are none.
    ///
    /// ```
    /// use metashrew_support::raw::Witness;
    ///
    /// assert!(Witness::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// The items, in order.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let inputs = block.transactions().nth(1).unwrap().inputs;
    /// let first: Vec<u8> = inputs[0].witness.iter().map(|item| item[0]).collect();
    /// assert_eq!(first, [1, 32, 0xc0]);
    /// ```
    pub fn iter(&self) -> Items<'a> {
        let mut reader = Reader::new(self.encoded);
        let left = reader.length().unwrap_or(0);
        Items { left, reader }
    }

    /// The item with a number, counted from 0. It walks over those before it.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let inputs = block.transactions().nth(1).unwrap().inputs;
    /// assert_eq!(inputs[1].witness.get(1), Some(&[0x50, 9][..]));
    /// assert_eq!(inputs[1].witness.get(2), None);
    /// ```
    pub fn get(&self, number: usize) -> Option<&'a [u8]> {
        self.iter().nth(number)
    }

    /// The annex of a spend of a Taproot output (BIP 341): the last of at least two
    /// items, if it starts with 0x50.
    ///
    /// The witness alone does not tell what kind of output is spent.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let inputs = block.transactions().nth(1).unwrap().inputs;
    /// assert_eq!(inputs[0].witness.annex(), None);
    /// assert_eq!(inputs[1].witness.annex(), Some(&[0x50, 9][..]));
    /// ```
    pub fn annex(&self) -> Option<&'a [u8]> {
        let last = self.iter().last()?;
        (self.len() >= 2 && last.first() == Some(&0x50)).then_some(last)
    }

    /// The script of a spend of a Taproot output by script (BIP 341): the last item
    /// but one, the annex not counted.
    ///
    /// The witness alone does not tell what kind of output is spent: the script of a
    /// spend of another kind has this place too.
    ///
    /// ```
    /// # let block = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/block.rs"));
    /// # let inputs = block.transactions().nth(1).unwrap().inputs;
    /// let witness = inputs[0].witness; // A signature, the script, the control block.
    /// assert_eq!(witness.tapscript(), witness.get(1));
    /// ```
    pub fn tapscript(&self) -> Option<&'a [u8]> {
        let behind = if self.annex().is_some() { 3 } else { 2 };
        self.get(self.len().checked_sub(behind)?)
    }
}

impl<'a> IntoIterator for &Witness<'a> {
    type Item = &'a [u8];
    type IntoIter = Items<'a>;

    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        self.reader.sized().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

//! What is known of one script: sums, and two lists whose newest pages are part
//! of the record. Most scripts have nothing beyond them, so that a block reads
//! and writes one record for each script it touches.

use guest_wire::compact::{Reader, Writer};

/// Entries in a page of either list.
pub(crate) const PAGE: u32 = 16;

/// A script's record.
///
/// A list's newest page holds its entries from the last multiple of [`PAGE`] on;
/// when an entry is added to a full page, that page moves to a key of its own.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Satoshi ever received.
    pub(crate) received: u64,
    /// Satoshi ever spent.
    pub(crate) spent: u64,
    /// Outputs ever received. The n-th has sequence number n, from 0.
    pub(crate) funded: u32,
    /// Outputs unspent.
    pub(crate) utxos: u32,
    /// Transactions that touched it.
    pub(crate) txs: u32,
    /// The newest page of the history.
    pub(crate) history: Vec<Touch>,
    /// What is unspent of the newest page of outputs, by sequence number.
    pub(crate) unspent: Vec<Unspent>,
}

/// A transaction that touched a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) place: Place,
    /// Satoshi received less satoshi spent.
    pub(crate) change: i64,
}

/// An output that is not spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unspent {
    /// Which of the script's outputs it is.
    pub(crate) sequence: u32,
    pub(crate) place: Place,
    pub(crate) vout: u32,
    pub(crate) value: u64,
}

/// Where a transaction is: the block's height, and its place in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) height: u32,
    pub(crate) position: u32,
}

impl Place {
    fn write(self, writer: &mut Writer) -> &mut Writer {
        writer.number(self.height).number(self.position)
    }

    fn read(reader: &mut Reader) -> Self {
        Self {
            height: reader.number(),
            position: reader.number(),
        }
    }
}

impl Owner {
    /// Reads a record; the value is empty if the script was never seen.
    pub(crate) fn decode(value: &[u8]) -> Self {
        if value.is_empty() {
            return Self::default();
        }
        let mut reader = Reader::new(value);
        let mut owner = Self {
            received: reader.number(),
            spent: reader.number(),
            funded: reader.number(),
            utxos: reader.number(),
            txs: reader.number(),
            ..Self::default()
        };
        let newest = newest_page_len(owner.txs);
        owner.history = (0..newest).map(|_| read_touch(&mut reader)).collect();
        owner.unspent = read_unspent(&mut reader, owner.newest_unspent_page());
        owner
    }

    /// The record's value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer
            .number(self.received)
            .number(self.spent)
            .number(self.funded)
            .number(self.utxos)
            .number(self.txs);
        for touch in &self.history {
            write_touch(&mut writer, touch);
        }
        write_unspent(&mut writer, &self.unspent);
        writer.finish()
    }

    /// The number of the newest page of outputs.
    pub(crate) fn newest_unspent_page(&self) -> u32 {
        self.funded.saturating_sub(1) / PAGE
    }

    /// The number of the newest page of the history.
    pub(crate) fn newest_history_page(&self) -> u32 {
        self.txs.saturating_sub(1) / PAGE
    }
}

/// Entries in the newest page of a list of `length`.
fn newest_page_len(length: u32) -> u32 {
    length.checked_sub(1).map_or(0, |last| last % PAGE + 1)
}

/// The value of a page of history.
pub(crate) fn encode_history(page: &[Touch]) -> Vec<u8> {
    let mut writer = Writer::default();
    for touch in page {
        write_touch(&mut writer, touch);
    }
    writer.finish()
}

/// Reads a page of history.
pub(crate) fn decode_history(value: &[u8]) -> Vec<Touch> {
    let mut reader = Reader::new(value);
    let mut page = Vec::new();
    while !reader.is_empty() {
        page.push(read_touch(&mut reader));
    }
    page
}

/// The value of a page of outputs: empty, and so absent, if all are spent.
pub(crate) fn encode_unspent(page: &[Unspent]) -> Vec<u8> {
    let mut writer = Writer::default();
    write_unspent(&mut writer, page);
    writer.finish()
}

/// Reads page number `page` of outputs.
pub(crate) fn decode_unspent(value: &[u8], page: u32) -> Vec<Unspent> {
    read_unspent(&mut Reader::new(value), page)
}

fn write_touch(writer: &mut Writer, touch: &Touch) {
    touch.place.write(writer).signed(touch.change);
}

fn read_touch(reader: &mut Reader) -> Touch {
    Touch {
        place: Place::read(reader),
        change: reader.signed(),
    }
}

fn write_unspent(writer: &mut Writer, page: &[Unspent]) {
    for output in page {
        writer.number(output.sequence % PAGE);
        output
            .place
            .write(writer)
            .number(output.vout)
            .number(output.value);
    }
}

fn read_unspent(reader: &mut Reader, page: u32) -> Vec<Unspent> {
    let mut unspent = Vec::new();
    while !reader.is_empty() {
        unspent.push(Unspent {
            sequence: page * PAGE + reader.number::<u32>(),
            place: Place::read(reader),
            vout: reader.number(),
            value: reader.number(),
        });
    }
    unspent
}

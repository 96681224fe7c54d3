//! A little script of reads and writes, as bytes that a test hands a guest.

/// One thing that the guest does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// `get`.
    Get(Vec<u8>),
    /// `set`.
    Set(Vec<u8>, Vec<u8>),
    /// `flush`.
    Flush,
    /// `reset`.
    Reset,
    /// `flush_to_lru`.
    Publish,
    /// `set_cache_memory_limit`.
    Limit(u32),
    /// `read_many`.
    Many(Vec<Vec<u8>>),
    /// `host::read_many`.
    HostMany(Vec<Vec<u8>>),
    /// `host::read_range`.
    HostRange(Spec),
    /// One page.
    Page(Spec),
    /// All pages, each from the cursor of the last.
    Walk(Spec),
    /// An iteration; after each entry, one of the writes.
    Iterate(Spec, Vec<(Vec<u8>, Vec<u8>)>),
    /// `set` of an atomic pointer.
    AtomicSet(Vec<u8>, Vec<u8>),
    /// Its `checkpoint`.
    Checkpoint,
    /// Its `commit`, if a checkpoint is open beside the first.
    Commit,
    /// Its `rollback`, likewise.
    Rollback,
    /// `commit` of all that is open; another atomic pointer takes its place.
    Finish,
    /// Its `page`.
    AtomicPage(Spec),
    /// `clear`.
    Clear,
    /// `input`.
    Look,
    /// `export_bytes`, of which nothing is answered.
    Answer,
    /// `set_cache_mode`: the one of `_start`, or of views.
    Mode(bool),
    /// `cache_set` under a name.
    Keep(u8, Vec<u8>),
    /// `cache_get`.
    Kept(u8),
    /// `cache_remove`.
    Drop(u8),
    /// A flag of `call_local!`: what it was. It is set then.
    Flag,
    /// `append` to a list.
    Append(u8, Vec<u8>),
    /// `pop` from it.
    Pop(u8),
    /// `get_list`.
    List(u8),
    /// `host::flush`.
    HostFlush(Vec<(Vec<u8>, Vec<u8>)>),
}

/// Where a list is: no other operation writes there.
pub(crate) fn list(number: u8) -> Vec<u8> {
    vec![b'l', number]
}

/// A range.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Spec {
    /// Of a prefix, which is `start`; else between the two.
    pub(crate) prefix: bool,
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
    pub(crate) reverse: bool,
    pub(crate) keys_only: bool,
    pub(crate) limit: Option<u32>,
    pub(crate) max_bytes: Option<u32>,
    pub(crate) after: Option<Vec<u8>>,
}

/// Writes numbers and bytes one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn number(&mut self, number: usize) -> &mut Self {
        let number = u32::try_from(number).expect("scripts are small");
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len()).0.extend(bytes);
        self
    }

    fn keys(&mut self, keys: &[Vec<u8>]) {
        self.number(keys.len());
        for key in keys {
            self.bytes(key);
        }
    }

    fn pairs(&mut self, pairs: &[(Vec<u8>, Vec<u8>)]) {
        self.number(pairs.len());
        for (key, value) in pairs {
            self.bytes(key).bytes(value);
        }
    }

    fn maybe(&mut self, number: Option<u32>) {
        self.byte(number.is_some().into());
        self.0.extend(number.unwrap_or_default().to_le_bytes());
    }

    fn spec(&mut self, spec: &Spec) {
        self.byte(spec.prefix.into())
            .bytes(&spec.start)
            .bytes(&spec.end);
        self.byte(spec.reverse.into()).byte(spec.keys_only.into());
        self.maybe(spec.limit);
        self.maybe(spec.max_bytes);
        self.byte(spec.after.is_some().into());
        self.bytes(spec.after.as_deref().unwrap_or_default());
    }
}

/// A script as bytes.
pub(crate) fn encode(script: &[Op]) -> Vec<u8> {
    let mut out = Out::default();
    for op in script {
        match op {
            Op::Get(key) => drop(out.byte(0).bytes(key)),
            Op::Set(key, value) => drop(out.byte(1).bytes(key).bytes(value)),
            Op::Flush => drop(out.byte(2)),
            Op::Reset => drop(out.byte(3)),
            Op::Publish => drop(out.byte(4)),
            Op::Limit(bytes) => drop(out.byte(5).number(*bytes as usize)),
            Op::Many(keys) => out.byte(6).keys(keys),
            Op::HostMany(keys) => out.byte(7).keys(keys),
            Op::HostRange(spec) => out.byte(8).spec(spec),
            Op::Page(spec) => out.byte(9).spec(spec),
            Op::Walk(spec) => out.byte(10).spec(spec),
            Op::Iterate(spec, writes) => {
                out.byte(11).spec(spec);
                out.pairs(writes);
            }
            Op::AtomicSet(key, value) => drop(out.byte(12).bytes(key).bytes(value)),
            Op::Checkpoint => drop(out.byte(13)),
            Op::Commit => drop(out.byte(14)),
            Op::Rollback => drop(out.byte(15)),
            Op::Finish => drop(out.byte(16)),
            Op::AtomicPage(spec) => out.byte(17).spec(spec),
            Op::Clear => drop(out.byte(18)),
            Op::Look => drop(out.byte(19)),
            Op::Answer => drop(out.byte(20)),
            Op::Mode(start) => drop(out.byte(21).byte((*start).into())),
            Op::Keep(name, value) => drop(out.byte(22).byte(*name).bytes(value)),
            Op::Kept(name) => drop(out.byte(23).byte(*name)),
            Op::Drop(name) => drop(out.byte(24).byte(*name)),
            Op::Flag => drop(out.byte(25)),
            Op::Append(list, value) => drop(out.byte(26).byte(*list).bytes(value)),
            Op::Pop(list) => drop(out.byte(27).byte(*list)),
            Op::List(list) => drop(out.byte(28).byte(*list)),
            Op::HostFlush(pairs) => out.byte(29).pairs(pairs),
        }
    }
    out.0
}

/// The script that bytes are; it ends where they are none.
pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = Op> + '_ {
    let mut input = In(bytes);
    std::iter::from_fn(move || input.op())
}

struct Maybe<T>(Option<T>);

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes.to_vec())
    }

    fn pair(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        Some((self.bytes()?, self.bytes()?))
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| item(self)).collect()
    }

    /// What may be given or not.
    fn maybe<T>(&mut self, value: impl Fn(&mut Self) -> Option<T>) -> Option<Maybe<T>> {
        let given = self.byte()? == 1;
        Some(Maybe(Some(value(self)?).filter(|_| given)))
    }

    fn spec(&mut self) -> Option<Spec> {
        Some(Spec {
            prefix: self.byte()? == 1,
            start: self.bytes()?,
            end: self.bytes()?,
            reverse: self.byte()? == 1,
            keys_only: self.byte()? == 1,
            limit: self.maybe(Self::number)?.0,
            max_bytes: self.maybe(Self::number)?.0,
            after: self.maybe(Self::bytes)?.0,
        })
    }

    fn op(&mut self) -> Option<Op> {
        Some(match self.byte()? {
            0 => Op::Get(self.bytes()?),
            1 => Op::Set(self.bytes()?, self.bytes()?),
            2 => Op::Flush,
            3 => Op::Reset,
            4 => Op::Publish,
            5 => Op::Limit(self.number()?),
            6 => Op::Many(self.list(Self::bytes)?),
            7 => Op::HostMany(self.list(Self::bytes)?),
            8 => Op::HostRange(self.spec()?),
            9 => Op::Page(self.spec()?),
            10 => Op::Walk(self.spec()?),
            11 => Op::Iterate(self.spec()?, self.list(Self::pair)?),
            12 => Op::AtomicSet(self.bytes()?, self.bytes()?),
            13 => Op::Checkpoint,
            14 => Op::Commit,
            15 => Op::Rollback,
            16 => Op::Finish,
            17 => Op::AtomicPage(self.spec()?),
            18 => Op::Clear,
            19 => Op::Look,
            20 => Op::Answer,
            21 => Op::Mode(self.byte()? == 1),
            22 => Op::Keep(self.byte()?, self.bytes()?),
            23 => Op::Kept(self.byte()?),
            24 => Op::Drop(self.byte()?),
            25 => Op::Flag,
            26 => Op::Append(self.byte()?, self.bytes()?),
            27 => Op::Pop(self.byte()?),
            28 => Op::List(self.byte()?),
            29 => Op::HostFlush(self.list(Self::pair)?),
            _ => return None,
        })
    }
}

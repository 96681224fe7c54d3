//! Runs a guest's functions natively, over the host in this thread's memory.

use crate::following::{Following, Indexed};
use crate::{Block, Chain, Failed, snapshot};
use metashrew_abi::proto::Storage;
use metashrew_core::entry::ErrorText;
use metashrew_core::test_utils;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

/// Indexes chains with a guest's function, and asks its views.
///
/// The state is that of this thread's host ([`test_utils`]): a thread has one, so
/// each test is alone with its own, and a new indexer begins with nothing.
///
/// ```
/// use metashrew_core::index_pointer::IndexPointer;
/// use metashrew_support::index_pointer::KeyValuePointer;
/// use metashrew_support::raw::{Block, ParseError};
/// use metashrew_test::{Chain, Indexer, Lock};
/// use std::convert::Infallible;
///
/// fn index(height: u32, block: &[u8]) -> Result<(), ParseError> {
///     let count = Block::parse(block)?.transactions().len();
///     IndexPointer::from_keyword("/count/").select_value(height).set_value(count as u32);
///     Ok(())
/// }
///
/// fn count(height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
///     let count = IndexPointer::from_keyword("/count/").select_value(height);
///     Ok(count.get_value::<u32>().to_string().into_bytes())
/// }
///
/// let mut chain = Chain::new();
/// chain.mine();
/// chain.pay(Lock::p2tr("alice"), 1_000);
/// chain.mine();
///
/// let mut indexer = Indexer::new(index);
/// indexer.follow(&chain);
/// assert_eq!(indexer.view(2, b"", count), b"2");
/// assert_eq!(indexer.view(1, b"", count), b"1");
/// indexer.check([(1, b""), (2, b"")], count);
///
/// chain.reorg(1);
/// chain.mine();
/// indexer.follow(&chain);
/// assert_eq!(indexer.view(2, b"", count), b"1");
/// ```
pub struct Indexer {
    index: Box<Index>,
    blocks: Indexed,
    tables: Vec<Storage>,
    /// The state is the thread's.
    thread: PhantomData<Rc<()>>,
}

type Index = dyn Fn(&Block);

impl std::fmt::Debug for Indexer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tip = self.blocks.last().map(|(height, _)| height);
        f.debug_struct("Indexer")
            .field("tip", &tip)
            .finish_non_exhaustive()
    }
}

impl Indexer {
    /// An indexer that runs a function for each block, as `_start` of
    /// [`export!`](metashrew_core::export) does.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// assert_eq!(indexer.tip(), Some(3));
    /// ```
    pub fn new<Kind, E: ErrorText<Kind>>(
        index: impl Fn(u32, &[u8]) -> Result<(), E> + 'static,
    ) -> Self {
        Self::with(Box::new(move |block| {
            test_utils::index_block(block.height, &block.bytes, &index);
        }))
    }

    /// An indexer that runs an exported `_start` for each block.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// fn start() {
    ///     let input = metashrew_core::input();
    ///     metashrew_core::set(b"/size".to_vec().into(), vec![input.len() as u8].into());
    ///     metashrew_core::flush();
    /// }
    ///
    /// let mut indexer = Indexer::exported(start);
    /// indexer.follow(&chain);
    /// assert_eq!(indexer.tip(), Some(3));
    /// ```
    pub fn exported(start: impl Fn() + 'static) -> Self {
        Self::with(Box::new(move |block| {
            test_utils::index_export(block.height, &block.bytes, &start);
        }))
    }

    fn with(index: Box<Index>) -> Self {
        test_utils::reset();
        Self {
            index,
            blocks: Vec::new(),
            tables: Vec::new(),
            thread: PhantomData,
        }
    }

    /// Indexes a block.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.index(chain.at(1).unwrap());
    /// assert_eq!(indexer.tip(), Some(1));
    /// ```
    ///
    /// # Panics
    /// If it fails; with the guest's text.
    pub fn index(&mut self, block: &Block) {
        (self.index)(block);
        self.blocks.push((block.height, block.hash));
    }

    /// Indexes a block, which leaves no trace if it fails.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// let mut block = chain.at(1).unwrap().clone();
    /// block.bytes.clear();
    /// assert!(indexer.try_index(&block).is_err());
    /// ```
    ///
    /// # Errors
    /// If it fails.
    pub fn try_index(&mut self, block: &Block) -> Result<(), Failed> {
        caught(|| self.index(block))
    }

    /// Indexes what a chain has and this has not; first, blocks that are in the chain no
    /// longer are taken back, and the guest's memory with them.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// chain.reorg(2);
    /// indexer.follow(&chain);
    /// assert_eq!(indexer.tip(), Some(1));
    /// ```
    ///
    /// # Panics
    /// If a block fails.
    pub fn follow(&mut self, chain: &Chain) {
        if let Err(error) = self.try_follow(chain) {
            panic!("{error}");
        }
    }

    /// As [`follow`](Self::follow), up to the block that fails.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(|height, _: &[u8]| match height {
    ///     3 => Err("no third block"),
    ///     _ => Ok(()),
    /// });
    /// assert!(indexer.try_follow(&chain).is_err());
    /// assert_eq!(indexer.tip(), Some(2));
    /// ```
    ///
    /// # Errors
    /// If a block fails.
    pub fn try_follow(&mut self, chain: &Chain) -> Result<(), Failed> {
        self.come_to(chain)
    }

    /// The height of the newest block.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// assert_eq!(Indexer::new(index).tip(), None);
    /// ```
    pub fn tip(&self) -> Option<u32> {
        self.blocks.last().map(|(height, _)| *height)
    }

    /// Asks a view about the state after a height.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// assert_eq!(indexer.view(2, b"", tip), [2, 0, 0, 0]);
    /// ```
    ///
    /// # Panics
    /// If it fails; with the guest's text.
    pub fn view<Kind, E: ErrorText<Kind>>(
        &self,
        height: u32,
        input: impl AsRef<[u8]>,
        view: impl FnOnce(u32, &[u8]) -> Result<Vec<u8>, E>,
    ) -> Vec<u8> {
        test_utils::view(height, input.as_ref(), view)
    }

    /// As [`view`](Self::view); an error or a panic is a value.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// let failed = indexer.try_view(3, b"something", tip).unwrap_err();
    /// assert!(failed.message.contains("it takes nothing"));
    /// ```
    ///
    /// # Errors
    /// If the view fails.
    pub fn try_view<Kind, E: ErrorText<Kind>>(
        &self,
        height: u32,
        input: impl AsRef<[u8]>,
        view: impl FnOnce(u32, &[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, Failed> {
        caught(|| self.view(height, input, view))
    }

    /// Runs any of the guest's code as a view runs at a height: to read its tables, say.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// let tip = indexer.at(2, || metashrew_core::get(b"/tip".to_vec().into()));
    /// assert_eq!(*tip, [2, 0, 0, 0]);
    /// ```
    pub fn at<T>(&self, height: u32, look: impl FnOnce() -> T) -> T {
        test_utils::at(height, look)
    }

    /// Forgets the guest's memory, as a host that starts anew; statics of its own stay.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// indexer.restart();
    /// assert_eq!(indexer.view(3, b"", tip), [3, 0, 0, 0]); // The state is kept.
    /// ```
    pub fn restart(&self) {
        test_utils::restore(test_utils::save());
    }

    /// Checks that answers do not depend on what the guest remembers: asks each question
    /// of a guest that remembers nothing (in a thread of its own, so that statics of a
    /// thread are fresh too), and of this one, first to last and last to first. Answers
    /// those.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// let answers = indexer.check([(1, b""), (3, b"")], tip);
    /// assert_eq!(answers[1], Ok(vec![3, 0, 0, 0]));
    /// ```
    ///
    /// # Panics
    /// If two answers differ.
    pub fn check<Kind, E: ErrorText<Kind>, I: AsRef<[u8]> + Sync>(
        &self,
        questions: impl IntoIterator<Item = (u32, I)>,
        view: impl Fn(u32, &[u8]) -> Result<Vec<u8>, E> + Sync,
    ) -> Vec<Result<Vec<u8>, Failed>> {
        let questions: Vec<_> = questions.into_iter().collect();
        let ask = |(height, input): &(u32, I)| {
            caught(|| test_utils::view(*height, input.as_ref(), &view))
        };
        let alone = |question| {
            let state = test_utils::save();
            thread::scope(|scope| {
                let asked = scope.spawn(move || {
                    test_utils::restore(state);
                    ask(question)
                });
                asked.join().expect("a view's panic is caught")
            })
        };
        let fresh: Vec<_> = questions.iter().map(alone).collect();
        let again = questions.iter().zip(&fresh);
        for (question, fresh) in again.clone().chain(again.rev()) {
            let (height, input) = question;
            assert_eq!(
                &ask(question),
                fresh,
                "at height {height}, input {:?}: a guest that remembers answers otherwise (left) than a fresh one",
                input.as_ref()
            );
        }
        fresh
    }

    /// The state after a height: keys and values.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// assert_eq!(indexer.state(2)[&b"/tip"[..]], [2, 0, 0, 0]);
    /// ```
    pub fn state(&self, height: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
        test_utils::state(height)
    }

    /// Has [`snapshot`](Self::snapshot) show keys of these tables by their names: those
    /// that `storage! { pub fn tables; … }` makes.
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// use metashrew_core::storage::Map;
    ///
    /// metashrew_core::storage! {
    ///     pub fn tables;
    ///     const SIZES: Map<u32, u64> = Map::new("sizes") => (height);
    /// }
    ///
    /// let mut indexer = Indexer::new(|height, block: &[u8]| SIZES.set(&height, &(block.len() as u64)))
    ///     .tables(tables());
    /// indexer.follow(&chain);
    /// assert!(indexer.snapshot(3).contains("sizes"));
    /// ```
    #[must_use]
    pub fn tables(mut self, tables: Vec<Storage>) -> Self {
        self.tables = tables;
        self
    }

    /// The state after a height as text, for [`assert_snapshot`](crate::assert_snapshot).
    ///
    /// ```
    /// # mod guest { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/guest.rs")); }
    /// # use guest::{index, tip};
    /// # use metashrew_test::{Chain, Indexer};
    /// # let mut chain = Chain::new();
    /// # chain.mine_blocks(3);
    /// let mut indexer = Indexer::new(index);
    /// indexer.follow(&chain);
    /// assert_eq!(indexer.snapshot(2), "/tip = 0x02000000\n");
    /// ```
    pub fn snapshot(&self, height: u32) -> String {
        snapshot::text(&self.state(height), &self.tables)
    }
}

impl Following for Indexer {
    fn indexed(&mut self) -> &mut Indexed {
        &mut self.blocks
    }

    fn index_next(&mut self, block: &Block) -> Result<(), Failed> {
        self.try_index(block)
    }

    fn roll_back(&mut self, tip: Option<u32>) -> Result<(), Failed> {
        test_utils::roll_back(tip);
        Ok(())
    }
}

fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Failed::new(text.unwrap_or("a panic without text"))
    })
}

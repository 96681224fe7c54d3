//! What `metashrew trace` and `metashrew profile` run: a block on the state below it, a view, or
//! the block of a bundle.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use metashrew_runtime::{Bundle, MetashrewRuntime, PreparedGuest, RuntimeOptions, ViewOptions};
use metashrew_store::{BlockId, BlockRecord, Store, wait};

use super::database;
use super::replay::{self, Located};
use crate::cli::Watched;
use crate::input;

/// What is run, on what.
pub(super) enum Subject {
    Block(Box<Located>),
    View {
        name: String,
        input: Vec<u8>,
        at: BlockRecord,
    },
    Bundle(Box<Bundle>),
}

/// A subject with the guest that runs.
pub(super) struct Opened {
    pub(super) runtime: MetashrewRuntime,
    /// The guest's module.
    pub(super) wasm: Vec<u8>,
    pub(super) subject: Subject,
}

impl Opened {
    pub(super) fn of(args: &Watched) -> Result<Self> {
        if let Some(bundle) = &args.bundle {
            return Self::bundle(args, bundle);
        }
        let path = args.block.indexer()?;
        let wasm = database::read_guest(path)?;
        let guest = prepare(&wasm, path, args)?;
        let (store, subject) = if let Some(view) = &args.view {
            view_of(&guest, view, args)?
        } else {
            guest
                .check_start()
                .with_context(|| format!("`{}` cannot index", path.display()))?;
            let located = Located::find(&args.block)?;
            (located.store.clone(), Subject::Block(Box::new(located)))
        };
        Ok(Self {
            runtime: guest.over(store)?,
            wasm,
            subject,
        })
    }

    fn bundle(args: &Watched, file: &Path) -> Result<Self> {
        let bundle = replay::open_bundle(file)?;
        let (wasm, path) = replay::guest_of(&bundle, file, args.block.indexer.as_deref())?;
        Ok(Self {
            runtime: prepare(&wasm, path, args)?.over(Store::in_memory())?,
            wasm,
            subject: Subject::Bundle(Box::new(bundle)),
        })
    }
}

/// The view that the flags name, and the database that it is asked of.
fn view_of(guest: &PreparedGuest, view: &str, args: &Watched) -> Result<(Store, Subject)> {
    let name = view.to_owned();
    guest.check_view(view)?;
    let db = args.block.db.as_deref().context("no --db is given")?;
    let store = database::open_to_read(db, args.block.cache.size)?;
    let at = args.block.height.map_or(BlockId::Latest, BlockId::Height);
    let at = wait(store.snapshot().resolve(&at))
        .with_context(|| format!("there is no state at block `{at}`"))?;
    let input = args.input.as_ref().map(input::read).transpose()?;
    let input = input.map(Cow::into_owned).unwrap_or_default();
    Ok((store, Subject::View { name, input, at }))
}

/// The guest in the file `path`, which runs for as long as the flags say.
fn prepare(wasm: &[u8], path: &Path, args: &Watched) -> Result<PreparedGuest> {
    let timeout = Duration::from_millis(args.timeout_ms);
    let options = RuntimeOptions {
        block_timeout: Some(timeout),
        views: ViewOptions {
            // One call needs no instance that outlives it.
            enabled: false,
            instances: std::num::NonZeroUsize::MIN,
            timeout,
            ..ViewOptions::default()
        },
        ..RuntimeOptions::default()
    };
    PreparedGuest::new(wasm, options)
        .with_context(|| format!("`{}` cannot be used as a guest", path.display()))
}

impl Subject {
    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Block(located) => {
                let block = &located.block;
                format!("block {} ({})", block.height, block.hash)
            }
            Self::Bundle(bundle) => {
                format!("block {} ({})", bundle.block.height, bundle.block.hash)
            }
            Self::View { name, at, .. } => format!("the view `{name}` at block {}", at.height),
        }
    }
}

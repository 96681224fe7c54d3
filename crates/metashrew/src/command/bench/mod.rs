//! `metashrew bench`: what this machine does with a guest over some blocks, and what to change.

mod advice;
mod figures;
mod floor;
mod measure;
mod metered;
mod pace;
mod page;
mod process;
mod settings;
mod temporary;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use indicatif::ProgressBar;
use metashrew_runtime::{MetashrewRuntime, PreparedGuest};
use metashrew_store::{ForkError, ForkOptions, Store};
use metashrew_sync::{Node, Stop};

use self::figures::{Figures, Guest, Machine, Origin};
use self::floor::Floor;
use self::measure::{End, Measured, Subject};
use self::metered::Metered;
use self::pace::TimeToTip;
use self::temporary::Place;
use super::ending::Ending;
use super::{Output, blocks, database};
use crate::cli::Bench;
use crate::console::Console;
use crate::size::Size;
use crate::{allocator, descriptors, printable};

pub(super) fn run(args: &Bench, console: &Console) -> Result<()> {
    allocator::give_back_unused();
    let ending = Ending::catch()?;
    // Beside the database its tables can be linked.
    let beside = args.db.as_deref().map(beside);
    let place = Place::make(args.temp_dir.as_deref().or(beside.as_deref()))?;
    let directory = place.path().to_owned();
    let stop = ending.heed("the bench ends with what it has", move || {
        if let Err(error) = temporary::remove_in_use(&directory) {
            let directory = directory.display();
            tracing::error!(%error, "the temporary database `{directory}` cannot be removed");
        }
    })?;
    let guest = prepare(args)?;
    let sha256 = hex::encode(guest.sha256());
    let figures = figures(args, console, guest, &place, &stop).map(|figures| Figures {
        guest: Guest {
            file: args.indexer.display().to_string(),
            sha256,
        },
        ..figures
    });
    console.hide_bar();
    place.remove()?;
    let figures = figures?;
    let text = if args.json {
        let json = serde_json::to_string(&figures).context("the figures are no JSON")?;
        format!("{}\n", printable::json(&json))
    } else {
        page::text(&figures)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}

/// The directory that a database is in, whatever it is called: `.` is inside itself. One that is not
/// there is told of later.
fn beside(db: &Path) -> PathBuf {
    let found = db.canonicalize();
    let db = found.as_deref().unwrap_or(db);
    match db.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => db.to_owned(),
    }
}

/// Compiles the guest, and checks that it can index.
fn prepare(args: &Bench) -> Result<PreparedGuest> {
    let is_none = || format!("`{}` is no guest", args.indexer.display());
    let wasm = database::read_guest(&args.indexer)?;
    let guest = PreparedGuest::new(&wasm, args.runtime_options()).with_context(is_none)?;
    guest.check_start().with_context(is_none)?;
    Ok(guest)
}

/// Measures, and draws the conclusions.
fn figures(
    args: &Bench,
    console: &Console,
    guest: PreparedGuest,
    place: &Place,
    stop: &Stop,
) -> Result<Figures> {
    let node = blocks::open(&args.blocks, &place.database())?;
    let store = temporary_store(args, &guest, place)?;
    let tip = store.snapshot().tip().map(|tip| tip.height);
    let options = args.index_options(last_height(args, node.as_ref(), tip)?);
    let subject = Subject {
        runtime: guest.over(store)?,
        node: Arc::new(Metered::new(node)),
        options,
        most_bytes: place.most_bytes(args.max_bytes.map(Size::bytes)),
    };
    let show = |count: u64, of: &str| {
        console.show_bar(count, &format!("{of} {{wide_bar:.cyan/dim}} {{percent}}%"))
    };
    let bar = show(u64::from(args.count.get()), "indexing");
    let measured = measure::measure(&subject, stop, |progress| {
        let target = progress.target.zip(progress.height);
        let left = target.map_or(1, |(target, height)| target.saturating_sub(height));
        bar.set_length(progress.blocks + u64::from(left));
        bar.set_position(progress.blocks);
    })
    .context("the blocks cannot be measured")?;
    let bar = show(measured.timings.len() as u64, "the guest's floor");
    let floor = floor(args, &subject, &measured, stop, &bar)?;
    let machine = machine(&subject.runtime, place, args.memory.total);
    let mut figures = Figures::of(
        &measured,
        floor.as_ref(),
        Guest::default(),
        machine,
        origin(args),
    );
    figures.time_to_tip = to_tip(args, &subject, &measured);
    figures.advice = advice::of(&figures);
    Ok(figures)
}

/// An empty database, or a fork of `--db` that this guest goes on with.
fn temporary_store(args: &Bench, guest: &PreparedGuest, place: &Place) -> Result<Store> {
    let options = args.store_options(descriptors::raise_limit());
    let directory = place.database();
    if let Some(db) = &args.db {
        let fork = ForkOptions {
            at: args.from.map(below).transpose()?,
            guest: Some(guest.id()),
            way: None,
            store: options,
        };
        Store::fork(db, &directory, &fork, |_| {}).map_err(|error| no_fork(args, db, error))?;
    }
    Store::open(&directory, options).context("the temporary database cannot be opened")
}

/// The last block of a state to begin with at `from`.
fn below(from: u32) -> Result<u32> {
    from.checked_sub(1).context(
        "--from 0 cannot be with --db: there is no state below block 0; without --db the state is empty at first",
    )
}

/// Why a database cannot be forked, by the flags of this command.
fn no_fork(args: &Bench, db: &Path, error: ForkError) -> anyhow::Error {
    let db = db.display();
    match (error, args.from) {
        (ForkError::BelowFirst { first, .. }, Some(from)) => anyhow!(
            "--from {from} needs the state below block {from}, and `{db}` begins with block {first}: begin with block {} or later, or without --db, with an empty state",
            u64::from(first) + 1
        ),
        (ForkError::AboveTip { tip, .. }, Some(from)) => anyhow!(
            "--from {from} needs the state below block {from}, and `{db}` ends with block {tip}: the bench can begin with block {} at most",
            u64::from(tip) + 1
        ),
        (error, _) => anyhow::Error::new(error).context(format!("`{db}` cannot be forked")),
    }
}

/// What the page calls the source: an address may hold a secret.
fn origin(args: &Bench) -> Origin {
    let path = args.blocks.blocks.as_ref();
    Origin {
        name: path.map_or_else(|| "the node".to_owned(), |path| path.display().to_string()),
        is_node: path.is_none(),
    }
}

/// The last block that is wanted. `tip` is the last one of the state that the bench begins with.
fn last_height(args: &Bench, node: &dyn Node, tip: Option<u32>) -> Result<u32> {
    let first = args.from.or(tip.map(|tip| tip.saturating_add(1)));
    if let Some(to) = args.to {
        if let Some(first) = first {
            ensure!(
                to >= first,
                "--to {to} is below block {first}, with which the bench begins: there would be no block"
            );
        }
        return Ok(to);
    }
    let first = match first {
        Some(first) => first,
        None => node
            .default_start()
            .context("the source does not say where its blocks begin")?
            .unwrap_or_default(),
    };
    Ok(first.saturating_add(args.count.get() - 1))
}

/// None if it is not wanted, or the bench is to end.
fn floor(
    args: &Bench,
    subject: &Subject,
    measured: &Measured,
    stop: &Stop,
    bar: &ProgressBar,
) -> Result<Option<Floor>> {
    let (Some(first), Some(last)) = (measured.timings.first(), measured.timings.last()) else {
        return Ok(None);
    };
    if args.no_floor || measured.end == End::Stopped {
        return Ok(None);
    }
    let node = subject.node.as_ref();
    let heights = (first.height, last.height);
    floor::measure(&subject.runtime, node, heights, stop, |done| {
        bar.set_position(u64::from(done));
    })
    .context("the guest's floor cannot be measured")
}

fn machine(runtime: &MetashrewRuntime, place: &Place, memory_bytes: Option<u64>) -> Machine {
    let options = runtime.store().options();
    Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes,
        cache_bytes: options.map_or(0, |options| options.cache_bytes + options.read_cache_bytes),
        durability: options
            .map_or("", |options| options.durability.as_str())
            .to_owned(),
        database_in_memory: place.is_in_memory(),
    }
}

/// To `--tip`, or to the last block of the source.
fn to_tip(args: &Bench, subject: &Subject, measured: &Measured) -> Option<TimeToTip> {
    let node = subject.node.as_ref();
    let there_is = node.tip().ok().flatten().map(|tip| tip.height);
    let tip = args.tip.or(there_is)?;
    let next = measured.timings.last()?.height.checked_add(1)?;
    let sampled = there_is
        .map(|there_is| there_is.min(tip))
        .filter(|last| *last >= next)
        .and_then(|last| pace::mean_block_bytes(node, next, last));
    TimeToTip::of(&measured.timings, tip, sampled)
}

//! `metashrew verify`: whether the database holds what its roots say.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use metashrew_store::{VerifyOptions, VerifyPhase, VerifyProgress};
use parking_lot::Mutex;

use super::{Output, database};
use crate::cli::Verify;
use crate::console::Console;
use crate::memory;
use crate::size::Size;

/// How often a log line says how far it is, where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn run(args: &Verify, console: &Console) -> Result<()> {
    let db = &args.database.db;
    let store = if args.accept_lost_commits {
        database::open_accepting_lost_commits(&args.database)?
    } else {
        database::open_to_read(db, args.database.cache.size)?
    };
    let options = VerifyOptions {
        memory_bytes: args
            .memory
            .map_or_else(|| memory::to_verify(memory::total()), Size::bytes),
        temporary: args.temp_dir.clone(),
    };
    let bar = console.show_bar(0, "{msg} {wide_bar} {percent}%, {eta} left");
    let watched = Watched {
        bar,
        logged: Mutex::new(None),
    };
    let verified = store.verify_with(&options, |phase, progress| watched.tell(phase, progress));
    console.hide_bar();
    let report = verified.with_context(|| format!("`{}` is not as it should be", db.display()))?;
    let text = match report.tip {
        Some(tip) => format!(
            "ok: {} blocks, {} keys, {} versions\ntip: {} {}\nhistory root: 0x{}\n",
            report.blocks, report.keys, report.versions, tip.height, tip.hash, tip.history_root
        ),
        None => "ok: no block is indexed\n".to_owned(),
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Output(error).into())
}

/// Says how far a verification is: by a bar, or by log lines if nobody watches.
struct Watched {
    bar: ProgressBar,
    /// The phase that a line told of last, and when.
    logged: Mutex<Option<(VerifyPhase, Instant)>>,
}

impl Watched {
    fn tell(&self, phase: VerifyPhase, progress: VerifyProgress) {
        let (number, doing) = match phase {
            VerifyPhase::Lists => (0, "reading lists of keys"),
            VerifyPhase::Versions => (1, "reading versions"),
            VerifyPhase::Roots => (2, "computing roots"),
        };
        let VerifyProgress { done, total } = progress;
        if !self.bar.is_hidden() {
            self.bar.set_message(doing);
            self.bar.set_length(3 * total);
            self.bar.set_position(number * total + done);
            return;
        }
        let mut logged = self.logged.lock();
        let is_due = logged.is_none_or(|(told, when)| told != phase || when.elapsed() >= INTERVAL);
        if is_due {
            *logged = Some((phase, Instant::now()));
            drop(logged);
            let step = number + 1;
            tracing::info!(done, total, "step {step} of 3: {doing}");
        }
    }
}

//! `metashrew dev`: at every edit the guest is built, a new database is indexed with it beside the
//! one that is served, and served in its place once that is through all blocks.
//!
//! One thread decides (here); a thread for each try builds and indexes ([`attempt`]); one shows
//! what views answer ([`screen`]). All that is started is owned by a value that ends it.

mod answers;
mod attempt;
mod build;
mod failure;
mod form;
mod logs;
mod process;
mod regtest;
mod screen;
mod served;
mod setup;
mod state;
mod tell;
mod watch;

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use metashrew_sync::{IndexError, IndexState, Stop};

use answers::Answers;
use attempt::{Attempt, Candidate, Outcome};
use failure::{chain, tell_failure};
use logs::{Logs, Shown};
use regtest::Node;
use screen::Screen;
use served::{Address, Served};
use setup::{Blocks, Setup};
use state::StateDirectory;
use tell::{Teller, Told};
use watch::{Change, Watch};

use crate::cli::Dev;
use crate::log::GuestLines;
use crate::memory::{self, Asked, Memory};
use crate::signals::Signals;
use crate::size::Size;
use crate::{allocator, descriptors};

/// How often it is looked after the node and the progress.
const TICK: Duration = Duration::from_millis(500);

/// How often the progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// How long the end may wait for a try: for its build to end, or a commit.
const END_GRACE: Duration = Duration::from_mins(1);

/// Something to act on.
enum Event {
    Changed(Change),
    Attempted(Box<Outcome>),
    /// A line that was typed.
    Typed(String),
    /// The guest that is served could not index a new block.
    Halted(IndexError),
    /// The name of a signal.
    Signal(&'static str),
}

pub(super) fn run(args: &Dev, lines: GuestLines) -> Result<()> {
    allocator::give_back_unused();
    descriptors::raise_limit();
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the server's threads cannot be started")?;
    let done = run_on(args, lines, &tokio);
    // A view under way would hold up the end until its deadline.
    tokio.shutdown_background();
    done
}

fn run_on(args: &Dev, lines: GuestLines, tokio: &tokio::runtime::Runtime) -> Result<()> {
    let (events, inbox) = channel();
    let stop = Stop::new();
    catch_signals(tokio, &events, &stop)?;
    let teller = Teller { json: args.json };
    let project = Path::new(".");
    let state = StateDirectory::take(project)?;
    let memory = memory_of_all()?;
    // Before a node is started for nothing.
    let address = Address::take(args, &memory, tokio.handle())?;
    let (node, blocks) = match (&args.blocks, args.regtest) {
        (Some(path), _) => (None, Blocks::Files(path.clone())),
        (None, _) => match Node::start(project, args.mine, &stop, teller)? {
            Some(node) => {
                let settings = Box::new(node.settings());
                (Some(node), Blocks::Node(settings))
            }
            None => return Ok(()),
        },
    };
    let logs = Arc::new(Logs::new(lines, args.log_lines, teller));
    let setup = Arc::new(Setup {
        build_command: args.build_command.clone(),
        module: args.module.clone().context("no module is named")?,
        blocks,
        start_height: args.start_height,
        checkpoint: args.checkpoint,
        block_timeout: Duration::from_millis(args.block_timeout_ms),
        memory,
        state,
        logs: Arc::clone(&logs),
        teller,
        progress: parking_lot::Mutex::default(),
        is_compiling: AtomicBool::new(false),
    });
    watch(args, &setup, &events)?;
    read_commands(events.clone());
    let screen = Screen::start(Answers::new(args.views.clone()), Arc::clone(&logs), teller)?;
    let mut session = Session {
        setup,
        address,
        served: None,
        screen,
        logs,
        node,
        events,
        running: None,
        is_due: true,
        anew: false,
        from_scratch: args.from_scratch,
        told: Instant::now(),
    };
    let done = session.run(&inbox);
    session.end(&inbox);
    done
}

/// Signals are events, and stop what waits at the beginning.
fn catch_signals(
    tokio: &tokio::runtime::Runtime,
    events: &Sender<Event>,
    stop: &Stop,
) -> Result<()> {
    let _entered = tokio.enter();
    let mut signals = Signals::catch().context("signals cannot be caught")?;
    let (events, stop) = (events.clone(), stop.clone());
    tokio.spawn(async move {
        loop {
            let signal = signals.next().await;
            stop.request();
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn memory_of_all() -> Result<Memory> {
    let asked = Asked {
        scouts: Some(Size(0)),
        ..Asked::default()
    };
    Memory::share(memory::total(), asked).map_err(anyhow::Error::msg)
}

/// Watches the sources on a thread of its own.
fn watch(args: &Dev, setup: &Setup, events: &Sender<Event>) -> Result<()> {
    let paths = match (args.watch.as_slice(), &args.build_command) {
        ([], Some(_)) => vec![PathBuf::from("src")],
        ([], None) => vec![setup.module.clone()],
        (paths, _) => paths.to_vec(),
    };
    let watch = Watch::new(&paths, args.blocks.as_deref())?;
    setup.teller.tell(&Told::Watching { paths: &paths });
    let events = events.clone();
    thread::Builder::new()
        .name("metashrew-watch".to_owned())
        .spawn(move || watch.run(|change| events.send(Event::Changed(change)).is_ok()))
        .context("the thread that watches the sources cannot be started")?;
    Ok(())
}

/// Reads commands from standard input on a thread of its own. Without one, and at the end of the
/// input, there are none.
fn read_commands(events: Sender<Event>) {
    let read = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if events.send(Event::Typed(line)).is_err() {
                return;
            }
        }
    };
    let _ = thread::Builder::new()
        .name("metashrew-typed".to_owned())
        .spawn(read);
}

/// What goes on, and what is to be done next.
struct Session {
    setup: Arc<Setup>,
    address: Address,
    served: Option<Served>,
    screen: Screen,
    logs: Arc<Logs>,
    node: Option<Node>,
    events: Sender<Event>,
    /// The try that is under way.
    running: Option<Stop>,
    /// Whether another try has to follow.
    is_due: bool,
    /// Whether the next guest is indexed even if it is the one that is served.
    anew: bool,
    from_scratch: bool,
    /// When the progress was told.
    told: Instant,
}

impl Session {
    /// Acts until a signal, or until the node has ended.
    fn run(&mut self, inbox: &Receiver<Event>) -> Result<()> {
        loop {
            if self.is_due && self.running.is_none() {
                self.start_attempt()?;
            }
            match inbox.recv_timeout(TICK) {
                Ok(Event::Signal(why)) => {
                    self.setup.teller.tell(&Told::Ending { why });
                    return Ok(());
                }
                Ok(Event::Typed(line)) if line.trim() == "q" => return Ok(()),
                Ok(Event::Typed(line)) => self.typed(line.trim()),
                Ok(Event::Changed(change)) => {
                    self.anew |= change.blocks;
                    self.is_due();
                }
                Ok(Event::Attempted(outcome)) => self.attempted(*outcome)?,
                Ok(Event::Halted(error)) => {
                    self.logs.show_new();
                    tell_failure(self.setup.teller, &error.into());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if let Some(node) = &mut self.node {
                node.check()?;
            }
            self.tell_progress();
        }
    }

    fn typed(&mut self, command: &str) {
        match command {
            "r" => self.is_due(),
            "s" => {
                self.from_scratch = true;
                self.is_due();
            }
            _ => {}
        }
    }

    /// Another try has to follow. The one under way is not wanted any more.
    fn is_due(&mut self) {
        self.is_due = true;
        if let Some(stop) = &self.running {
            stop.request();
        }
    }

    fn start_attempt(&mut self) -> Result<()> {
        let stop = Stop::new();
        let attempt = Attempt {
            setup: Arc::clone(&self.setup),
            served: self.served.as_ref().map(|served| served.identity.clone()),
            from_scratch: self.from_scratch,
            anew: self.anew,
            stop: stop.clone(),
        };
        let events = self.events.clone();
        thread::Builder::new()
            .name("metashrew-try".to_owned())
            .spawn(move || {
                let outcome = attempt.run();
                // It may hold the last of what the main thread waits for.
                drop(attempt);
                let _ = events.send(Event::Attempted(Box::new(outcome)));
            })
            .context("the thread that builds cannot be started")?;
        self.running = Some(stop);
        self.is_due = false;
        Ok(())
    }

    fn attempted(&mut self, outcome: Outcome) -> Result<()> {
        self.running = None;
        let teller = self.setup.teller;
        match outcome {
            Outcome::Candidate(candidate) => {
                self.logs.release(Shown::Last);
                self.serve(*candidate)?;
            }
            Outcome::Unchanged => teller.tell(&Told::Unchanged),
            Outcome::Stopped => self.logs.release(Shown::None),
            Outcome::Unusable(error) => {
                let error = &chain(&error);
                teller.tell(&Told::Unusable { error });
            }
            Outcome::Failed(error) => {
                let block = error
                    .downcast_ref()
                    .and_then(|error: &IndexError| error.block().0);
                self.logs.release(block.map_or(Shown::Last, Shown::Block));
                tell_failure(teller, &error);
            }
        }
        Ok(())
    }

    fn serve(&mut self, candidate: Candidate) -> Result<()> {
        let took = candidate.took.as_millis();
        let before = self.served.take();
        let served = self
            .address
            .serve(candidate, before, &self.setup, &self.events)?;
        let tip = served.live.runtime.store().snapshot().tip().copied();
        self.setup.teller.tell(&Told::Serving {
            guest: &served.identity.short(),
            address: &served.address(),
            height: tip.map(|tip| tip.height),
            ms: u64::try_from(took).unwrap_or(u64::MAX),
        });
        self.screen.show(&served.live);
        self.served = Some(served);
        (self.anew, self.from_scratch) = (false, false);
        Ok(())
    }

    /// Tells how far indexing is, from time to time.
    fn tell_progress(&mut self) {
        let progress = self.setup.progress.lock().clone();
        let Some(progress) = progress else {
            self.told = Instant::now();
            return;
        };
        if self.told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.told = Instant::now();
        let status = progress.status();
        self.setup.teller.tell(&Told::Progress {
            height: status.progress.height,
            target: status.progress.target,
            waits_for: match &status.state {
                IndexState::Waiting { error, .. } => Some(error),
                _ => None,
            },
        });
    }

    /// Ends all that was started. What cannot be waited for is left to the end of the process.
    fn end(mut self, inbox: &Receiver<Event>) {
        if let Some(stop) = self.running.take() {
            stop.request();
            wait_for_try(inbox, &self.setup.is_compiling);
        }
        if let Some(served) = self.served.take() {
            self.address.end(served);
        }
        self.screen.end();
        drop(self.node.take());
        self.setup.state.clear();
    }
}

/// Waits until the try that was stopped has ended; false if it is left to the end of the process.
/// One that compiles a guest is: that cannot be stopped, and leaves nothing behind.
fn wait_for_try(inbox: &Receiver<Event>, is_compiling: &AtomicBool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < END_GRACE && !is_compiling.load(Ordering::Acquire) {
        if let Ok(Event::Attempted(_)) = inbox.recv_timeout(TICK) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_waits_for_a_try_unless_it_compiles() {
        let (events, inbox) = channel();
        events.send(Event::Typed("r".to_owned())).unwrap();
        let stopped = Event::Attempted(Box::new(Outcome::Stopped));
        events.send(stopped).unwrap();
        assert!(wait_for_try(&inbox, &AtomicBool::new(false)));
        // Nothing comes any more.
        assert!(!wait_for_try(&inbox, &AtomicBool::new(true)));
    }
}

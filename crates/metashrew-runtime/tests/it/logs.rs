//! What the runtime says of stateful views, as users look for it.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use metashrew_store::BlockId;
use metashrew_testing::guests;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use crate::{Bench, block};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Of a single subscriber, tracing asks the thread that first comes to a line of log whether
/// anybody listens, and has its answer for all threads. So there is another one.
static ANOTHER: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// What is logged, down to `debug`, while `run` runs.
pub(crate) fn logged(run: impl FnOnce()) -> String {
    LazyLock::force(&ANOTHER);
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_failed_initialisation_is_a_warning() {
    let text = logged(|| {
        Bench::with(&guests::chained(), |views| views.memory_budget = 1);
    });
    let warning = "WARN metashrew_runtime::runtime: Failed to enable stateful views by default: ";
    assert!(text.contains(warning), "{text}");
}

#[test]
fn calls_say_whether_they_run_in_stateful_mode() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(0, 1);
    let call = || {
        logged(|| {
            bench.view("echo", b"", &BlockId::Latest);
        })
    };
    assert!(call().contains("view runs in stateful mode, on a new instance"));
    let again = call();
    assert!(again.contains("view runs in stateful mode\n"), "{again}");
    let span = r#"view{function="echo" height=0 mode="stateful mode"}"#;
    assert!(again.contains(span), "{again}");
    bench.runtime.disable_stateful_views();
    let fresh = call();
    assert!(fresh.contains("view runs in fresh mode"), "{fresh}");
    let text = logged(|| bench.runtime.enable_stateful_views_sync().unwrap());
    assert!(text.contains("stateful views enabled"), "{text}");
}

#[test]
fn failing_views_are_told_ever_more_rarely() {
    let bench = Bench::new(&guests::chained());
    bench.index_to(0, 1);
    let text = logged(|| {
        for _ in 0..20 {
            let failed = bench.runtime.view_sync("trap", b"", &BlockId::Height(0));
            failed.unwrap_err();
        }
        let failed = bench.runtime.view_sync("no_such", b"", &BlockId::Latest);
        failed.unwrap_err();
    });
    assert_eq!(
        text.matches("a view fails: the guest trapped").count(),
        5,
        "{text}"
    );
    for failures in [1, 2, 4, 8, 16] {
        let fields = format!(r#"view="trap" block="0" failures={failures}"#);
        assert!(text.contains(&format!("{fields}\n")), "{text}");
    }
}

#[test]
fn a_previews_block_that_fails_is_no_failing_view() {
    let bench = Bench::new(&guests::traps_at(2));
    bench.index_to(0, 1);
    let preview = |view: &str, at: u32| {
        logged(|| {
            let (block, at) = (block(at + 1, 1), BlockId::Height(at));
            let failed = bench.runtime.preview_sync(&block, view, b"", &at);
            failed.unwrap_err();
        })
    };
    let block_fails = preview("echo", 1);
    assert!(!block_fails.contains("a view fails"), "{block_fails}");
    let view_fails = preview("trap", 0);
    assert!(view_fails.contains("a view fails"), "{view_fails}");
}

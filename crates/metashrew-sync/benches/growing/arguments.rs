//! What the bench and its processes are asked to do: words like `keys=1000000`.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use metashrew_testing::ages::Ages;
use metashrew_testing::chain::Shape;
use metashrew_testing::guests;
use metashrew_testing::stream::Stream;

/// Keys in each block of the guest that only writes: about those of `addresses`.
const WRITTEN_KEYS: u32 = 14_000;

/// The words, in the order they were given.
#[derive(Clone, Default)]
pub(crate) struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Those of this process; flags, which come from `cargo bench`, are left out.
    pub(crate) fn of_the_process() -> Self {
        let words = std::env::args().skip(1);
        let words = words.filter(|word| !word.starts_with('-'));
        Self(
            words
                .map(|word| {
                    let pair = word.split_once('=').expect("words are NAME=VALUE");
                    (pair.0.to_owned(), pair.1.to_owned())
                })
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter().rev();
        all.find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    pub(crate) fn number<N: FromStr>(&self, name: &str, default: N) -> N {
        let text = self.get(name).map(|text| text.replace('_', ""));
        text.map_or(default, |text| {
            let number = text.parse().ok();
            number.unwrap_or_else(|| panic!("`{name}` is not `{text}`"))
        })
    }

    pub(crate) fn with(mut self, name: &str, value: impl Display) -> Self {
        self.0.push((name.to_owned(), format!("{value}")));
        self
    }

    /// Starts a process of the bench for these words; its answers come by standard
    /// output.
    pub(crate) fn spawn(&self, program: &Path) -> Child {
        let words = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let mut command = Command::new(program);
        command
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command.spawn().expect("the bench can be started again")
    }

    /// The program that indexes.
    pub(crate) fn subject(&self) -> PathBuf {
        let own = || std::env::current_exe().expect("the bench knows where it is");
        self.get("subject").map_or_else(own, PathBuf::from)
    }

    pub(crate) fn guest_name(&self) -> &str {
        self.get("guest").unwrap_or("addresses")
    }

    /// The guest's module.
    pub(crate) fn guest(&self) -> Vec<u8> {
        let name = self.guest_name();
        if name == "writes" {
            return guests::flush_only(WRITTEN_KEYS);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = root.join(format!("guests/wasm/{name}.wasm"));
        let file = self.get("wasm").map_or(file, PathBuf::from);
        std::fs::read(file).expect("the guest is there")
    }

    /// The blocks.
    pub(crate) fn blocks(&self) -> Stream {
        let shape = match self.guest_name() {
            "writes" => Shape::Transactions(10),
            _ => Shape::Full,
        };
        let ages = match self.get("ages") {
            None | Some("mainnet") => Ages::MAINNET,
            Some("any") => Ages::ANY,
            Some(other) => panic!("there are no ages `{other}`"),
        };
        Stream::new(1, shape, ages)
    }
}

//! The views that are shown: what they answer, and what has changed of it.

use metashrew_runtime::MetashrewRuntime;
use metashrew_store::BlockId;
use similar::{ChangeTag, TextDiff};

use super::tell::{Teller, Told};
use crate::cli::WatchedView;
use crate::input;

/// Lines of an answer, or of a diff, that are shown.
const MAX_LINES: usize = 40;

/// Bytes of an answer that is compared line by line.
const MAX_COMPARED: usize = 256 << 10;

/// Lines around a change that are shown with it.
const AROUND: usize = 2;

/// The views, each with its last answer.
#[derive(Debug)]
pub(super) struct Answers(Vec<(WatchedView, Option<String>)>);

impl Answers {
    pub(super) fn new(views: Vec<WatchedView>) -> Self {
        Self(views.into_iter().map(|view| (view, None)).collect())
    }

    /// Asks all views about the last block, and tells what is new. They are asked on this
    /// thread, one after the other, each for as long as a view may run.
    pub(super) fn tell(&mut self, runtime: &MetashrewRuntime, teller: Teller) {
        for (view, last) in &mut self.0 {
            let (height, answer) = ask(runtime, view);
            let view = view.name.as_str();
            match last {
                Some(last) if *last == answer => continue,
                Some(last) => {
                    let diff = &diff(last, &answer);
                    teller.tell(&Told::Changed { view, height, diff });
                }
                None => {
                    let answer = &cut(&answer);
                    teller.tell(&Told::Answer {
                        view,
                        height,
                        answer,
                    });
                }
            }
            *last = Some(answer);
        }
    }
}

/// The answer as text, and the block that it stands on.
fn ask(runtime: &MetashrewRuntime, view: &WatchedView) -> (u32, String) {
    let tip = runtime.store().snapshot().tip().map_or(0, |tip| tip.height);
    let input = match input::read(&view.input) {
        Ok(input) => input,
        Err(error) => return (tip, format!("error: {error:#}")),
    };
    match runtime.view_sync(&view.name, &input, &BlockId::Latest) {
        Ok(answer) => (answer.block.height, shown(&answer.bytes)),
        Err(error) => (tip, format!("error: {error}")),
    }
}

/// JSON with a line for each value, other text as it is, anything else as hex.
fn shown(answer: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(answer).ok();
    let json = json.filter(|json| json.is_object() || json.is_array());
    let pretty = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
    pretty.unwrap_or_else(|| {
        let text = input::print(answer, None, false);
        text.map(std::borrow::Cow::into_owned).unwrap_or_default()
    })
}

/// The lines that differ, with a few around them.
fn diff(before: &str, after: &str) -> String {
    if before.len().max(after.len()) > MAX_COMPARED {
        return format!("{} bytes, before {}", after.len(), before.len());
    }
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (index, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if index > 0 {
            lines.push("...".to_owned());
        }
        for change in group
            .iter()
            .flat_map(|operation| diff.iter_changes(operation))
        {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = change.value().trim_end_matches(['\r', '\n']);
            lines.push(format!("{sign} {line}"));
        }
    }
    cut(&lines.join("\n"))
}

/// The first lines, and how many more there are.
fn cut(text: &str) -> String {
    let count = text.lines().count();
    if count <= MAX_LINES {
        return text.to_owned();
    }
    let lines: Vec<_> = text.lines().take(MAX_LINES).collect();
    format!("{}\n... {} more lines", lines.join("\n"), count - MAX_LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_a_line_for_each_value_and_bytes_are_hex() {
        assert_eq!(shown(br#"{"b":1,"a":[2]}"#).lines().count(), 6);
        assert_eq!(shown(b"12"), "12");
        assert_eq!(shown(b"\xff\0"), "0xff00");
    }

    #[test]
    fn only_what_differs_is_told() {
        let before: Vec<_> = (0..100).map(|line| line.to_string()).collect();
        let mut after = before.clone();
        after[50] = "fifty".to_owned();
        let told = diff(&before.join("\n"), &after.join("\n"));
        assert_eq!(told, "  48\n  49\n- 50\n+ fifty\n  51\n  52");
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = vec!["x"; MAX_LINES + 3].join("\n");
        assert!(cut(&long).ends_with("x\n... 3 more lines"));
        assert_eq!(cut(&long).lines().count(), MAX_LINES + 1);
        let huge = "x".repeat(MAX_COMPARED + 1);
        assert_eq!(diff("y", &huge), format!("{} bytes, before 1", huge.len()));
    }
}

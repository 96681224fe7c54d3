//! The Prometheus text format, read as its specification has it.

use std::collections::{BTreeMap, BTreeSet};

/// A family of samples, all of one name but for a histogram's suffixes.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) kind: String,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

/// Reads the format as its specification has it, and panics at what it forbids.
pub(super) fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut helped = String::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help text");
            assert!(is_name(name) && !help.is_empty(), "{line}");
            name.clone_into(&mut helped);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(name, helped, "the help comes before the type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let family = Family {
                kind: kind.to_owned(),
                samples: Vec::new(),
            };
            let before = families.insert(name.to_owned(), family);
            assert!(before.is_none(), "{name} twice");
            name.clone_into(&mut current);
        } else {
            let sample = parse_sample(line);
            assert!(
                seen.insert((sample.name.clone(), sample.labels.clone())),
                "{line} twice"
            );
            let family = families
                .get_mut(&current)
                .expect("a type before the sample");
            let suffix = sample
                .name
                .strip_prefix(&current)
                .expect("samples stand together");
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line}");
            family.samples.push(sample);
        }
    }
    families
}

fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("a closing brace")),
        None => (series, ""),
    };
    assert!(is_name(name), "{line}");
    let mut read = BTreeMap::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"").expect("a label's value");
        assert!(is_name(label) && !label.contains(':'), "{line}");
        let end = quoted.find('"').expect("a closing quote");
        let (value, after) = quoted.split_at(end);
        assert!(
            !value.contains('\\'),
            "no value of ours needs an escape: {line}"
        );
        assert!(
            read.insert(label.to_owned(), value.to_owned()).is_none(),
            "{line}"
        );
        rest = after
            .strip_prefix("\",")
            .or(after.strip_prefix('"'))
            .unwrap();
    }
    Sample {
        name: name.to_owned(),
        labels: read,
        value: value.parse().expect("a number"),
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The value of the one sample of `family` with this label, if any is given.
pub(super) fn value(
    families: &BTreeMap<String, Family>,
    family: &str,
    label: Option<(&str, &str)>,
) -> f64 {
    let samples = &families
        .get(family)
        .unwrap_or_else(|| panic!("{family}"))
        .samples;
    let mut fitting = samples.iter().filter(|sample| {
        label.is_none_or(|(name, value)| sample.labels.get(name).is_some_and(|is| is == value))
    });
    let sample = fitting
        .next()
        .unwrap_or_else(|| panic!("{family} {label:?}"));
    assert!(fitting.next().is_none(), "{family} {label:?}");
    sample.value
}

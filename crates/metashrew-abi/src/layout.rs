//! How the keys of a guest's tables are read, by what the guest says of them in `__meta`.
//!
//! A table's keys begin with [`MARKER`], the length of its name and the name. No text in UTF-8
//! has the marker, so these keys are apart from all that begin with a word. The parts that follow
//! say where they end: by a fixed size, or by a mark.

use std::fmt;

use crate::proto::Storage;

/// The first byte of a table's keys: one that UTF-8 does not have.
///
/// ```
/// # use metashrew_abi::layout::MARKER;
/// assert!(std::str::from_utf8(&[MARKER]).is_err());
/// ```
pub const MARKER: u8 = 0xff;

/// The longest name of a table.
///
/// ```
/// # use metashrew_abi::layout::MAX_NAME_BYTES;
/// assert!("balances".len() <= MAX_NAME_BYTES);
/// ```
pub const MAX_NAME_BYTES: usize = 64;

/// A key, as a table's layout reads it.
///
/// ```
/// # use metashrew_abi::layout::{Decoded, Part};
/// # use metashrew_abi::proto::Storage;
/// let table = Storage { name: "sizes".to_owned(), ..Storage::default() };
/// let key = Decoded { table: &table, parts: vec![("height", Part::Unsigned(7))] };
/// assert_eq!(key.to_string(), "sizes(height = 7)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The table.
    pub table: &'a Storage,
    /// The parts of the key, each with its name. A list's own record has none for the index.
    pub parts: Vec<(&'a str, Part)>,
}

/// One part of a key.
///
/// ```
/// # use metashrew_abi::layout::Part;
/// assert_eq!(Part::Bytes(vec![7, 255]).to_string(), "0x07ff");
/// assert_eq!(Part::Text("ann".to_owned()).to_string(), "\"ann\"");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// An integer without a sign, of up to 128 bits.
    Unsigned(u128),
    /// An integer with a sign, of up to 128 bits.
    Signed(i128),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// Reads a key by the table of which it is; `None` if it is of none, or is not as its table's keys
/// are.
///
/// ```
/// use metashrew_abi::layout::{Part, decode};
/// use metashrew_abi::proto::{KeyPart, Storage};
///
/// let sizes = Storage {
///     name: "sizes".to_owned(),
///     prefix: b"\xff\x05sizes".to_vec(),
///     key: vec![KeyPart { name: "height".to_owned(), ty: "u32".to_owned() }],
///     ..Storage::default()
/// };
/// let tables = [sizes];
/// let decoded = decode(&tables, b"\xff\x05sizes\0\0\x01\x02").unwrap();
/// assert_eq!(decoded.parts, [("height", Part::Unsigned(258))]);
/// assert_eq!(decoded.to_string(), "sizes(height = 258)");
/// assert_eq!(decode(&tables, b"\xff\x05sizes\0\0\x01"), None);
/// ```
pub fn decode<'a>(tables: &'a [Storage], key: &[u8]) -> Option<Decoded<'a>> {
    tables.iter().find_map(|table| {
        // One without a prefix would take every key for its own.
        let rest = key.strip_prefix(&table.prefix[..])?;
        if table.prefix.is_empty() {
            return None;
        }
        let parts = decode_parts(table, rest)?;
        Some(Decoded { table, parts })
    })
}

fn decode_parts<'a>(table: &'a Storage, mut rest: &[u8]) -> Option<Vec<(&'a str, Part)>> {
    let has_own_record = matches!(&*table.kind, "list" | "deque");
    let mut parts = Vec::new();
    for (index, part) in table.key.iter().enumerate() {
        // Its length stands where its elements' indexes would begin.
        if has_own_record && rest.is_empty() && index + 1 == table.key.len() {
            break;
        }
        parts.push((&*part.name, decode_part(&part.ty, &mut rest)?));
    }
    rest.is_empty().then_some(parts)
}

/// Takes one part off the front of `rest`, by the name of its type.
fn decode_part(ty: &str, rest: &mut &[u8]) -> Option<Part> {
    match ty {
        "bool" => match take(rest, 1)? {
            [0] => Some(Part::Bool(false)),
            [1] => Some(Part::Bool(true)),
            _ => None,
        },
        "string" => String::from_utf8(unescape(rest)?).ok().map(Part::Text),
        "bytes" => unescape(rest).map(Part::Bytes),
        _ => {
            if let Some(length) = ty.strip_prefix("bytes[") {
                let length = length.strip_suffix(']')?.parse().ok()?;
                return take(rest, length).map(|bytes| Part::Bytes(bytes.to_vec()));
            }
            integer(ty, rest)
        }
    }
}

fn integer(ty: &str, rest: &mut &[u8]) -> Option<Part> {
    let bits = match ty.get(1..)? {
        "8" => 8,
        "16" => 16,
        "32" => 32,
        "64" => 64,
        "128" => 128,
        _ => return None,
    };
    let bytes = take(rest, bits / 8)?;
    let number = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte));
    match ty.get(..1)? {
        "u" => Some(Part::Unsigned(number)),
        // The sign bit is flipped: so the least number is zero.
        "i" => {
            let flipped = number ^ (1 << (bits - 1));
            let unused = 128 - bits;
            let bits = i128::from_be_bytes((flipped << unused).to_be_bytes());
            Some(Part::Signed(bits >> unused))
        }
        _ => None,
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (first, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(first)
}

/// Takes bytes in which `00` is written as `00 01`, up to `00 00`.
fn unescape(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let zero = rest.iter().position(|byte| *byte == 0)?;
        bytes.extend_from_slice(take(rest, zero)?);
        match take(rest, 2)? {
            [0, 0] => return Some(bytes),
            [0, 1] => bytes.push(0),
            _ => return None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(number) => number.fmt(formatter),
            Self::Signed(number) => number.fmt(formatter),
            Self::Bool(truth) => truth.fmt(formatter),
            Self::Text(text) => fmt::Debug::fmt(text, formatter),
            Self::Bytes(bytes) => {
                formatter.write_str("0x")?;
                bytes
                    .iter()
                    .try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }
    }
}

/// As a call: `balances(owner = 0x0707, token = 1)`.
impl fmt::Display for Decoded<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.table.name)?;
        if self.parts.is_empty() {
            return Ok(());
        }
        for (index, (name, part)) in self.parts.iter().enumerate() {
            let before = if index == 0 { "(" } else { ", " };
            write!(formatter, "{before}{name} = {part}")?;
        }
        formatter.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::KeyPart;
    use proptest::prelude::*;

    fn list(types: &[&str]) -> Storage {
        Storage {
            kind: "list".to_owned(),
            ..table("log", types)
        }
    }

    fn table(name: &str, types: &[&str]) -> Storage {
        let part = |ty: &&str| KeyPart {
            name: format!("a {ty}"),
            ty: (*ty).to_owned(),
        };
        Storage {
            name: name.to_owned(),
            prefix: [
                &[MARKER, u8::try_from(name.len()).unwrap()],
                name.as_bytes(),
            ]
            .concat(),
            key: types.iter().map(part).collect(),
            ..Storage::default()
        }
    }

    fn shown(table: Storage, rest: &[u8]) -> Option<String> {
        let key = [&table.prefix[..], rest].concat();
        decode(&[table], &key).map(|decoded| decoded.to_string())
    }

    #[test]
    fn parts_are_read_by_their_types() {
        let check = |types: &[&str], rest: &[u8], expect: Option<&str>| {
            assert_eq!(
                shown(table("t", types), rest).as_deref(),
                expect,
                "{types:?}"
            );
        };
        check(&[], b"", Some("t"));
        check(&[], b"\0", None);
        check(&["u8", "i8"], &[1, 0x7f], Some("t(a u8 = 1, a i8 = -1)"));
        check(
            &["i128"],
            &[0; 16],
            Some(&format!("t(a i128 = {})", i128::MIN)),
        );
        check(
            &["u128"],
            &[0xff; 16],
            Some(&format!("t(a u128 = {})", u128::MAX)),
        );
        check(
            &["i64"],
            &[0xff; 8],
            Some(&format!("t(a i64 = {})", i64::MAX)),
        );
        check(
            &["string", "u8"],
            b"a\0\x01b\0\0\x07",
            Some(r#"t(a string = "a\0b", a u8 = 7)"#),
        );
        check(
            &["bytes", "bytes[2]"],
            b"\0\0\x01\x02",
            Some("t(a bytes = 0x, a bytes[2] = 0x0102)"),
        );
        check(&["bool"], &[2], None);
        check(&["string"], b"a\0", None);
        check(&["string"], b"\xff\0\0", None);
        check(&["string"], b"a\0\x02", None);
        check(&["bytes[18446744073709551616]"], b"a", None);
        check(&["bytes[18446744073709551615]"], b"a", None);
        check(&["u24"], &[1, 2, 3], None);
        check(&["é"], &[1], None);
        check(&[""], &[1], None);
    }

    #[test]
    fn the_own_record_of_a_list_has_no_index() {
        let list = || list(&["bytes[1]", "u64"]);
        assert_eq!(shown(list(), &[7]).unwrap(), "log(a bytes[1] = 0x07)");
        assert_eq!(
            shown(list(), &[7, 0, 0, 0, 0, 0, 0, 0, 3]).unwrap(),
            "log(a bytes[1] = 0x07, a u64 = 3)"
        );
        assert_eq!(shown(list(), &[7, 0]), None);
        assert_eq!(shown(list(), &[]), None, "of no list");
        let deque = Storage {
            kind: "deque".to_owned(),
            ..list()
        };
        assert_eq!(shown(deque, &[7]).unwrap(), "log(a bytes[1] = 0x07)");
        let map = Storage {
            kind: "map".to_owned(),
            ..list()
        };
        assert_eq!(shown(map, &[7]), None);
    }

    #[test]
    fn a_key_is_of_the_table_whose_prefix_it_has() {
        let tables = [Storage::default(), table("a", &[]), table("ab", &["u8"])];
        let name = |key: &[u8]| decode(&tables, key).map(|decoded| &*decoded.table.name);
        assert_eq!(name(b"\xff\x01a"), Some("a"));
        assert_eq!(name(b"\xff\x02ab\0"), Some("ab"));
        assert_eq!(name(b"\xff\x03abc\0"), None);
        assert_eq!(name(b"/a"), None);
        assert_eq!(name(b""), None);
    }

    proptest! {
        #[test]
        fn any_key_and_layout_are_read_or_refused(
            types in proptest::collection::vec(
                prop_oneof!["[uib][0-9]{1,3}", "bytes(\\[[0-9]{0,3}\\])?", "string|bool", ".{0,3}"],
                0..4,
            ),
            rest: Vec<u8>,
        ) {
            let types: Vec<_> = types.iter().map(|ty| &**ty).collect();
            drop(shown(table("t", &types), &rest));
        }
    }
}

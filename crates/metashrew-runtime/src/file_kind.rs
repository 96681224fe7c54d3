//! What a file is that is no WebAssembly module, told by how it begins.

/// What a module begins with: the magic, version 1, and that it is no component.
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";

/// Bytes of an unknown file that are shown.
const SHOWN: usize = 4;

/// What other files begin with.
const KINDS: [(&[u8], &str); 15] = [
    (
        b"\0asm\x0d\0\x01\0",
        "it is a WebAssembly component, and a guest is a plain module: build it for `wasm32-unknown-unknown`",
    ),
    (
        b"\x1f\x8b",
        "it is compressed with gzip: decompress it first",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "it is compressed with zstd: decompress it first",
    ),
    (
        b"\xfd7zXZ\0",
        "it is compressed with xz: decompress it first",
    ),
    (b"BZh", "it is compressed with bzip2: decompress it first"),
    (
        b"PK\x03\x04",
        "it is a zip archive: take the module out of it first",
    ),
    (
        b"\x7fELF",
        "it is a program or library for this kind of machine (ELF): build it for `wasm32-unknown-unknown`",
    ),
    (
        b"\xcf\xfa\xed\xfe",
        "it is a program or library for macOS (Mach-O): build it for `wasm32-unknown-unknown`",
    ),
    (
        b"MZ",
        "it is a program for Windows: build it for `wasm32-unknown-unknown`",
    ),
    (
        b"BC\xc0\xde",
        "it is LLVM bitcode: link it to a module first",
    ),
    (
        b"!<arch>\n",
        "it is an archive of object files: link it to a module first",
    ),
    (b"<!DOCTYPE", "it is a web page: download the file itself"),
    (b"<!doctype", "it is a web page: download the file itself"),
    (b"<html", "it is a web page: download the file itself"),
    (
        b"version https://git-lfs",
        "it is a pointer of Git LFS: fetch the file itself with `git lfs pull`",
    ),
];

/// What is wrong with how a file begins; none if it begins as a module.
pub(crate) fn other_than_module(bytes: &[u8]) -> Option<String> {
    if bytes.starts_with(&MODULE) {
        return None;
    }
    let known = KINDS.iter().find(|(start, _)| bytes.starts_with(start));
    Some(match (known, bytes) {
        (Some((_, what)), _) => (*what).to_owned(),
        (None, []) => "it is empty".to_owned(),
        (None, _) if bytes.len() < MODULE.len() && MODULE.starts_with(bytes) => {
            let length = bytes.len();
            format!("it ends after {length} bytes, in the middle of a module's header")
        }
        (None, [0, b'a', b's', b'm', version @ ..]) => {
            let version = hex(version.get(..4).unwrap_or(version));
            format!("its version of WebAssembly is unknown: {version} where 01 00 00 00 is expected")
        }
        (None, _) if is_text_format(bytes) => {
            "it is WebAssembly in text form: make it a module first, with `wat2wasm` or `wasm-tools parse`"
                .to_owned()
        }
        (None, _) => format!("it begins with {}", beginning(bytes)),
    })
}

/// Whether the first word, behind blanks and comments, is one of the text form's.
fn is_text_format(bytes: &[u8]) -> bool {
    let mut rest = bytes.trim_ascii_start();
    while rest.starts_with(b";;") {
        let end = rest.iter().position(|byte| *byte == b'\n');
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
        rest = rest.trim_ascii_start();
    }
    rest.strip_prefix(b"(").is_some_and(|rest| {
        let rest = rest.trim_ascii_start();
        rest.starts_with(b"module") || rest.starts_with(b"component") || rest.starts_with(b";")
    })
}

/// The first bytes, as text where they are printable.
fn beginning(bytes: &[u8]) -> String {
    let start = bytes.get(..SHOWN).unwrap_or(bytes);
    if start.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        format!("\"{}\"", String::from_utf8_lossy(start))
    } else {
        format!("the bytes {}", hex(start))
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_by_their_beginning() {
        let check = |bytes: &[u8], expect: &str| {
            let found = other_than_module(bytes).unwrap();
            assert!(found.starts_with(expect), "{found}");
        };
        assert_eq!(other_than_module(b"\0asm\x01\0\0\0"), None);
        assert_eq!(other_than_module(b"\0asm\x01\0\0\0\x01"), None);
        check(b"", "it is empty");
        check(b"# metashrew", "it begins with \"# me\"");
        check(b"x", "it begins with \"x\"");
        check(b"\x1b[2J", "it begins with the bytes 1b 5b 32 4a");
        check(b"\x1f\x8b\x08", "it is compressed with gzip");
        check(
            b"\x7fELF\x02",
            "it is a program or library for this kind of machine (ELF)",
        );
        check(b"\0asm\x0d\0\x01\0", "it is a WebAssembly component");
        check(
            b"\0asm\x02\0\0\0",
            "its version of WebAssembly is unknown: 02 00 00 00",
        );
        check(b"\0as", "it ends after 3 bytes");
        check(b"\0asm\x01", "it ends after 5 bytes");
        check(b"(module)", "it is WebAssembly in text form");
        check(
            b";; a guest\n\n  ( module $a",
            "it is WebAssembly in text form",
        );
        check(b"(;; a ;)", "it is WebAssembly in text form");
        check(b"(let", "it begins with \"(let\"");
        check(b";;", "it begins with \";;\"");
    }
}

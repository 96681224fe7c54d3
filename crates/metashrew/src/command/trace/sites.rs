//! Which function of the guest called the host: the innermost one that is the guest's own.

use super::source_lines::Site;

/// The crates whose functions ask the host for somebody else.
const LIBRARIES: [&str; 6] = [
    "metashrew_core",
    "metashrew_support",
    "metashrew_abi",
    "core",
    "alloc",
    "std",
];

/// Where the sources of those crates are, in debug information, which may leave out the crate in a
/// function's name.
const SOURCES: [&str; 6] = [
    "metashrew-core/src/",
    "metashrew-support/src/",
    "metashrew-abi/src/",
    "library/core/src/",
    "library/alloc/src/",
    "library/std/src/",
];

/// The frame that a call of the host belongs to: the innermost one that is not of the SDK or
/// of Rust's libraries; the innermost of all if every one is.
pub(super) fn own(sites: &[Site]) -> Option<&Site> {
    let is_own = |site: &&Site| {
        let file = site.file.as_deref().unwrap_or_default();
        !is_library(&site.function) && !SOURCES.iter().any(|source| file.contains(source))
    };
    sites.iter().find(is_own).or_else(|| sites.first())
}

/// Whether a function is one of a library's: `core::…`, `<core::…`, `<X as core::…`.
fn is_library(function: &str) -> bool {
    let path = function.trim_start_matches(['<', '&', '(']);
    let implemented = function
        .starts_with('<')
        .then(|| function.split_once(" as ").map(|(_, path)| path))
        .flatten();
    // An implementation for a type of the guest's own is the guest's.
    let first = |path: &str| path.split("::").next().map(str::to_owned);
    match implemented {
        Some(of) => {
            let (ty, of) = (first(path), first(of));
            [ty, of]
                .iter()
                .all(|it| it.as_deref().is_some_and(is_crate))
        }
        None => first(path).as_deref().is_some_and(is_crate),
    }
}

fn is_crate(name: &str) -> bool {
    LIBRARIES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_ask_for_the_guest() {
        let check = |function: &str, expect: bool| {
            assert_eq!(is_library(function), expect, "{function}");
        };
        check("metashrew_core::imports::get", true);
        check("<metashrew_core::storage::map::Map<K,V>>::get", true);
        check(
            "<alloc::vec::Vec<T> as core::iter::Extend<T>>::extend",
            true,
        );
        check("<guest::Row as core::clone::Clone>::clone", false);
        check("guest::index", false);
        check("core_of_mine::f", false);
        check("_start", false);
        check("~lib/metashrew/get", false);
        check("function 7", false);
    }

    #[test]
    fn the_innermost_own_function_counts() {
        let frame = |function: &str| Site {
            function: function.to_owned(),
            ..Site::default()
        };
        let frames = ["metashrew_core::get", "guest::read", "_start"].map(frame);
        assert_eq!(own(&frames).unwrap().function, "guest::read");
        assert_eq!(own(&frames[..1]).unwrap().function, "metashrew_core::get");
        assert!(own(&[]).is_none());
        let [mut inlined, outer, _] = frames;
        inlined.function = "get".to_owned();
        inlined.file = Some("/sdk/crates/metashrew-core/src/host.rs".to_owned());
        assert_eq!(own(&[inlined, outer.clone()]), Some(&outer));
    }
}

//! How one view runs, as the command line and the configuration file say it.

use std::str::FromStr;

use metashrew_runtime::{ViewMode, nearest};

/// The modes, by their names.
pub(super) const MODES: [(&str, ViewMode); 2] =
    [("fresh", ViewMode::Fresh), ("stateful", ViewMode::Stateful)];

/// A view, and how it runs: `NAME=MODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettledView {
    pub(crate) view: String,
    pub(crate) mode: ViewMode,
}

impl FromStr for SettledView {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.rsplit_once('=').filter(|(view, _)| !view.is_empty());
        let Some((view, mode)) = parts else {
            return Err("expected a view and how it runs, such as balance=fresh".to_owned());
        };
        Ok(Self {
            view: view.to_owned(),
            mode: mode_of(mode)?,
        })
    }
}

/// The mode of that name.
pub(super) fn mode_of(name: &str) -> Result<ViewMode, String> {
    if let Some((_, mode)) = MODES.iter().find(|(known, _)| *known == name) {
        return Ok(*mode);
    }
    let names = MODES.map(|(name, _)| name);
    let meant =
        nearest(name, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    Err(format!(
        "`{name}` is not one of its values: {}{meant}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_and_its_mode_are_told_apart_at_the_last_sign() {
        let settled = |text: &str| text.parse::<SettledView>();
        let expected = |view: &str, mode| {
            let view = view.to_owned();
            Ok(SettledView { view, mode })
        };
        assert_eq!(
            settled("balance=fresh"),
            expected("balance", ViewMode::Fresh)
        );
        assert_eq!(settled("a=b=stateful"), expected("a=b", ViewMode::Stateful));
        for wrong in [
            "",
            "balance",
            "=fresh",
            "balance=",
            "balance=Fresh",
            "fresh",
        ] {
            assert!(settled(wrong).is_err(), "{wrong}");
        }
        let error = settled("balance=frehs").unwrap_err();
        assert!(error.ends_with("did you mean `fresh`?"), "{error}");
    }
}

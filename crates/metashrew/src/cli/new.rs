//! The flags of `metashrew new`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::project_name::ProjectName;
use super::sdk::Sdk;
use crate::template;

/// Make a project: a guest with its tests, clients, and a script for a regtest node
///
/// What it makes builds, tests and runs as it stands. Ends by printing the commands to go on with.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The project's name, and that of the folder that is made for it here: small letters, digits,
    /// `-` and `_`
    pub(crate) name: ProjectName,

    /// The language of the guest
    #[arg(
        long,
        value_name = "LANG",
        env = "METASHREW_LANG",
        default_value = "rust",
        value_parser = PossibleValuesParser::new(template::languages())
    )]
    pub(crate) lang: String,

    /// Where the SDK is that the project depends on: a checkout of metashrew's repository, or a git
    /// URL, `#` and a revision behind it if it is not to be the newest [default: where this command
    /// was built from]
    #[arg(long, value_name = "PATH|URL", env = "METASHREW_SDK")]
    pub(crate) sdk: Option<Sdk>,
}

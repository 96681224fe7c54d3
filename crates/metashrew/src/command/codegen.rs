//! `metashrew codegen`: a client of a guest's views, blocks and subscriptions, in another language.
//!
//! A description of the guest becomes a model without a language (`source`, `schema`, `model`), and that a
//! file (`typescript`, `python`): what every client has, which stands in `runtime.ts` and `runtime.py`, and
//! what is the guest's. The same description makes the same file.

mod doubles;
mod model;
mod names;
mod python;
mod remarks;
mod schema;
mod source;
mod typescript;

use std::io::Write as _;

use anyhow::{Context, Result, bail};

use super::Output;
use crate::cli::{Codegen, Language, UntoldForm};
use model::{Form, Type};

pub(super) fn run(args: &Codegen) -> Result<()> {
    let told = match (&args.indexer, &args.url) {
        (Some(path), _) => source::of_guest(path)?,
        (None, Some(url)) => source::of_server(url)?,
        (None, None) => bail!("neither a guest nor a server is given"),
    };
    let api = told.into_api(&match args.untold {
        UntoldForm::Any => Form::Any,
        UntoldForm::Bytes => Form::Bytes,
        UntoldForm::Text => Form::Text,
        UntoldForm::Json => Form::Json(Type::Unknown),
    });
    let text = match args.language {
        Language::Typescript => typescript::render(&api),
        Language::Python => python::render(&api),
    };
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .with_context(|| format!("the client cannot be written to `{}`", path.display())),
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Output(error).into()),
    }
}

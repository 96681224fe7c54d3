//! What the command knows of its own build: its version, where its SDK is, and the
//! templates of new projects.

#[path = "build/checkout.rs"]
mod checkout;
#[path = "build/sdk_address.rs"]
mod sdk_address;
#[path = "build/templates.rs"]
mod templates;

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    let version = std::env::var("CARGO_PKG_VERSION")?;
    let repository = std::env::var("CARGO_PKG_REPOSITORY").unwrap_or_default();
    let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let commit = checkout::commit();
    let version = match &commit {
        Some(commit) => format!("{version} ({})", commit.short),
        None => version,
    };
    println!("cargo::rustc-env=METASHREW_VERSION={version}");
    let checkout = manifest.join("../..").canonicalize()?;
    let id = commit.as_ref().map(|commit| &*commit.id);
    let origin = commit.as_ref().and_then(|commit| commit.origin.as_deref());
    let address = sdk_address::of_build(&repository, id, origin, &checkout);
    println!("cargo::rustc-env=METASHREW_SDK_ADDRESS={address}");
    templates::embed(&manifest.join("templates"), &out.join("templates.rs"))
}

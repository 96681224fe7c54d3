//! Prints the census of raw blocks: `cargo run --example census -- BLOCK.bin...`.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use bitcoin::consensus::encode::deserialize;
use metashrew_testing::census::{Census, Kind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let block: bitcoin::Block = deserialize(&std::fs::read(&path)?)?;
        println!("{path}: kinds {:?}\n{:#?}", Kind::ALL, Census::of(&block));
    }
    Ok(())
}

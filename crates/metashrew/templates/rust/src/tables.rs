//! What is stored. The host keeps every value at every height.

use metashrew_core::storage::{IndexedMap, Map, MultiIndex};

/// A transaction's id, and the number of one of its outputs.
pub type OutPoint = ([u8; 32], u32);

metashrew_core::record! {
    /// An output that is not spent.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Unspent {
        /// Whose it is: the script that it pays to.
        pub script: Vec<u8>,
        /// What it is worth, in satoshi.
        pub value: u64,
        /// The block that it is from.
        pub height: u32,
    }
}

/// Unspent outputs can be asked by their script, too.
pub type ByScript = (MultiIndex<Vec<u8>, OutPoint, Unspent>,);

metashrew_core::storage! {
    /// The outputs that are not spent.
    pub const OUTPUTS: IndexedMap<OutPoint, Unspent, ByScript> = IndexedMap::new(
        "outputs",
        (MultiIndex::new("script", |_, output| output.script.clone()),),
    ) => (txid, vout);
    /// What a script has, in satoshi.
    pub const BALANCES: Map<Vec<u8>, u64> = Map::new("balances") => (script);
}

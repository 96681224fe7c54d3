//! The example of `docs/writing-guests.md`.

use metashrew_core::storage::{List, Map, StorageError};

metashrew_core::storage! {
    /// What an owner holds of a token.
    const BALANCES: Map<(String, u32), u128> = Map::new("balances") => (owner, token);
    /// The hashes of all blocks.
    const BLOCKS: List<[u8; 32]> = List::new("blocks");
}

fn transfer(from: &str, to: &str, token: u32, amount: u128) -> Result<(), StorageError> {
    let held = |owner| Ok(BALANCES.get((owner, token))?.unwrap_or_default());
    BALANCES.set((from, token), &(held(from)? - amount))?;
    BALANCES.set((to, token), &(held(to)? + amount))
}

fn tokens_of(owner: &str) -> Result<Vec<(u32, u128)>, StorageError> {
    BALANCES.prefix(owner).iter().collect()
}

#[test]
fn what_is_transferred_is_found() -> Result<(), StorageError> {
    metashrew_core::test_utils::reset();
    BALANCES.set(("ann", 7), &10)?;
    transfer("ann", "ben", 7, 4)?;
    BLOCKS.push(&[7; 32])?;
    assert_eq!(tokens_of("ann")?, [(7, 6)]);
    assert_eq!(tokens_of("ben")?, [(7, 4)]);
    Ok(())
}

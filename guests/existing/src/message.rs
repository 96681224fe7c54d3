//! Messages, by a prost that is not the SDK's.

/// What a block did.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Summary {
    #[prost(uint32, tag = "1")]
    pub transactions: u32,
    #[prost(uint32, tag = "2")]
    pub spent: u32,
    #[prost(uint32, tag = "3")]
    pub rolled_back: u32,
}

/// Whose outputs.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WalletRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub script: Vec<u8>,
}

/// What a script owns, as the linked list has it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WalletResponse {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub outpoints: Vec<Vec<u8>>,
    #[prost(bytes = "vec", tag = "2")]
    pub balance: Vec<u8>,
}

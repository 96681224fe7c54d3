// A block with another chain's proof of work, as bytes, for examples in docs.
{
    use bitcoin::Network;
    use bitcoin::block::Version;
    use bitcoin::consensus::serialize;
    use bitcoin::constants::genesis_block;
    let mut block = genesis_block(Network::Bitcoin);
    block.header.version = Version::from_consensus((98 << 16) | 0x104);
    let parent = genesis_block(Network::Testnet);
    [
        serialize(&block.header),
        serialize(&parent.txdata[0]),
        serialize(&parent.block_hash()),
        [&[1][..], &[7; 32], &[0; 4]].concat(), // a branch of one hash
        vec![0; 5],                             // a branch of none
        serialize(&parent.header),
        serialize(&block.txdata),
    ]
    .concat()
}

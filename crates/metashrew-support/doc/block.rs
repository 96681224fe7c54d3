// A block for examples in docs, read in place: that of Bitcoin's height 0, with a
// transaction more, which inscribes, has an annex and a runestone.
{
    use bitcoin::{Amount, Network, OutPoint, ScriptBuf, Sequence, TxIn, TxOut, Witness};
    let tapscript = [
        &[&[32][..], &[7; 32], &[0xac]].concat()[..], // key, OP_CHECKSIG
        &[&[0, 0x63, 3][..], b"ord"].concat(),        // OP_FALSE OP_IF "ord"
        &[&[1, 1, 10][..], b"text/plain"].concat(),
        &[1, 2, 2, 1, 2], // the pointer 513
        &[&[1, 3, 32][..], &[0xab; 32]].concat(), // a parent
        &[1, 5, 1, 0xa0], // metadata: an empty map
        &[&[1, 11, 32][..], &[0xcd; 32]].concat(), // a delegate
        &[1, 17, 1, 0xa0], // properties: an empty map
        &[&[0, 5][..], b"hello", &[0x68]].concat(), // the body, OP_ENDIF
    ]
    .concat();
    let input = |vout, witness: &[&[u8]]| TxIn {
        previous_output: OutPoint::new("11".repeat(32).parse().unwrap(), vout),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::MAX,
        witness: Witness::from_slice(witness),
    };
    let output = |satoshi, script: &[u8]| TxOut {
        value: Amount::from_sat(satoshi),
        script_pubkey: ScriptBuf::from_bytes(script.to_vec()),
    };
    let mut block = bitcoin::constants::genesis_block(Network::Bitcoin);
    block.txdata.push(bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::from_consensus(840_000),
        input: vec![
            input(0, &[&[1; 64], &tapscript, &[0xc0; 33]]),
            input(1, &[&[1; 64], &[0x50, 9]]),
        ],
        output: vec![
            output(546, &[&[0x51, 32][..], &[7; 32]].concat()), // P2TR
            output(0, &[0x6a, 0x5d, 2, 20, 1]), // OP_RETURN OP_13, a push of 20 and 1
        ],
    });
    let bytes = Box::leak(bitcoin::consensus::serialize(&block).into_boxed_slice());
    metashrew_support::raw::Block::parse(bytes).unwrap()
}

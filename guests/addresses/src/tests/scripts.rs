//! Addresses stand for the scripts that the `bitcoin` crate says.

use crate::question::Question;
use crate::{keys, script};
use bitcoin::{Address, Network, ScriptBuf, WitnessProgram, WitnessVersion};

#[test]
fn every_kind_of_address_of_every_network_is_its_script() {
    let hash = [0x42; 20];
    let mut scripts = vec![
        ScriptBuf::from_bytes([&[0x76, 0xa9, 20], &hash[..], &[0x88, 0xac]].concat()),
        ScriptBuf::from_bytes([&[0xa9, 20], &hash[..], &[0x87]].concat()),
    ];
    let programs: [(WitnessVersion, &[u8]); 4] = [
        (WitnessVersion::V0, &[1; 20]),
        (WitnessVersion::V0, &[2; 32]),
        (WitnessVersion::V1, &[3; 32]),
        (WitnessVersion::V16, &[4; 2]),
    ];
    for (version, program) in programs {
        let program = WitnessProgram::new(version, program).unwrap();
        scripts.push(ScriptBuf::new_witness_program(&program));
    }
    for expect in &scripts {
        for network in [
            Network::Bitcoin,
            Network::Testnet,
            Network::Signet,
            Network::Regtest,
        ] {
            let address = Address::from_script(expect, network).unwrap().to_string();
            assert_eq!(
                script::of_address(&address).unwrap(),
                expect.as_bytes(),
                "{address}"
            );
            if address.contains("bc1") || address.starts_with("tb1") {
                let upper = address.to_uppercase();
                assert_eq!(
                    script::of_address(&upper).unwrap(),
                    expect.as_bytes(),
                    "{upper}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_address_says_why() {
    let check = |address: &str, expect: &str| {
        let error = script::of_address(address).unwrap_err();
        assert!(error.contains(expect), "{address}: {error}");
    };
    check("", "is not an address");
    check("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3", "checksum");
    check("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum");
    check("LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", "version 48");
    check(
        "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
        "`ltc` is not the prefix",
    );
}

#[test]
fn a_script_hash_is_electrums() {
    // From the Electrum protocol's documentation: an address and its hash.
    let question = |text: &str| {
        serde_json::from_str::<Question>(text)
            .unwrap()
            .script_id()
            .unwrap()
    };
    let by_hash = question(
        r#"{"scripthash":"8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161"}"#,
    );
    assert_eq!(
        by_hash,
        question(r#"{"address":"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}"#)
    );
    assert_eq!(by_hash.len(), size_of::<keys::ScriptId>());
}

//! Retargets that happened, and the rules of each network.

use super::*;

const LIMIT: u32 = 0x1d00_ffff;

/// Below a block; the last `bits` right below it.
fn below(network: Network, next: Height, seen: &[(u32, u32)]) -> Targets {
    let mut targets = Targets::unknown(Some(network), next);
    targets.seen = seen
        .iter()
        .map(|&(time, bits)| Seen { time, bits })
        .collect();
    targets
}

/// The 2,016 blocks below a retarget: the first and the last at those times, the
/// others in between.
fn interval(first: u32, last: u32, bits: u32) -> Vec<(u32, u32)> {
    let mut seen = vec![(first, bits); INTERVAL as usize];
    seen.last_mut().unwrap().0 = last;
    seen
}

fn check(targets: &Targets, time: u32, expected: Option<u32>) {
    assert_eq!(targets.required(time), expected);
    for bits in [0x1c00_ffff, LIMIT, expected.unwrap_or(1)] {
        let fits = expected.is_none_or(|expected| expected == bits);
        assert_eq!(targets.clone().push(time, bits).is_ok(), fits, "{bits:08x}");
    }
}

#[test]
fn mainnets_retargets_are_those_that_happened() {
    for (next, first, last, bits, expected) in [
        (2_016, 1_231_006_505, 1_233_061_996, LIMIT, LIMIT),
        (32_256, 1_261_130_161, 1_262_152_739, LIMIT, 0x1d00_d86a),
        (
            68_544,
            1_279_008_237,
            1_279_297_671,
            0x1c05_a3f4,
            0x1c01_68fd,
        ),
    ] {
        let targets = below(Network::Main, next, &interval(first, last, bits));
        check(&targets, last, Some(expected));
        // Between retargets nothing changes, however late a block is.
        let targets = below(Network::Main, next - 5, &interval(first, last, bits)[5..]);
        check(&targets, last + 100_000, Some(bits));
    }
}

#[test]
fn signets_retargets_are_those_that_happened() {
    let bits = 503_394_215;
    let seen = interval(1_599_332_844, 1_600_591_200, bits);
    check(&below(Network::Signet, 4_032, &seen), 0, Some(503_397_348));
}

#[test]
fn a_last_block_from_before_the_first_quarters_the_target() {
    let seen = interval(2_000_000, 1_000_000, 0x1b04_0000);
    check(&below(Network::Main, 4_032, &seen), 0, Some(0x1b01_0000));
}

#[test]
fn without_all_headers_nothing_is_known_of_a_retarget() {
    let seen = &interval(1_000, 2_000, 0x1b04_0000)[1..];
    check(&below(Network::Main, 4_032, seen), 0, None);
    check(&below(Network::Main, 4_032, &[]), 0, None);
    check(&below(Network::Main, 4_031, &[]), 0, None);
    check(&below(Network::Main, 4_031, seen), 0, Some(0x1b04_0000));
}

#[test]
fn on_test_networks_a_late_block_is_easy_and_the_next_ones_are_not() {
    let hard = 0x1b04_0000;
    for network in [Network::Testnet3, Network::Testnet4] {
        let seen = [(1_000, hard), (2_000, LIMIT), (3_000, LIMIT)];
        let targets = below(network, 5_000, &seen);
        check(&targets, 3_000 + 1_201, Some(LIMIT));
        check(&targets, 3_000 + 1_200, Some(hard));
        check(&below(network, 5_000, &seen[1..]), 3_000, None);
        // The first block after a retarget is as hard as it is, easy or not.
        check(&below(network, 4_034, &seen[1..]), 3_000, Some(LIMIT));
    }
}

#[test]
fn since_bip94_an_easy_block_before_a_retarget_changes_nothing() {
    let (hard, first, last) = (0x1b04_0000, 1_000_000, 1_000_000 + 14 * 24 * 60 * 60);
    let mut seen = interval(first, last, hard);
    seen.last_mut().unwrap().1 = LIMIT;
    check(&below(Network::Testnet3, 4_032, &seen), 0, Some(LIMIT));
    check(&below(Network::Testnet4, 4_032, &seen), 0, Some(hard));
}

#[test]
fn regtest_has_one_target_and_other_networks_any() {
    let regtest = Targets::unknown(Some(Network::Regtest), 7);
    check(&regtest, 0, Some(0x207f_ffff));
    check(&Targets::unknown(None, 7), 0, None);
}

#[test]
fn no_more_blocks_are_kept_than_are_looked_at() {
    let mut targets = Targets::unknown(Some(Network::Main), 1);
    for time in 0..5_000 {
        targets.push(600 * time, 0x1b04_0000).unwrap();
        if targets.next == INTERVAL {
            break;
        }
    }
    assert_eq!(targets.seen.len(), INTERVAL as usize - 1);
    for _ in 0..3 {
        let next = targets.required(0).unwrap_or(0x1b04_0000);
        targets.push(0, next).unwrap();
    }
    assert_eq!(targets.seen.len(), INTERVAL as usize);
}

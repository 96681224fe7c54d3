//! The networks: what their block files begin with, and their genesis blocks.

use std::fmt;
use std::str::FromStr;

use bitcoin::consensus::Params;
use bitcoin::constants;
use bitcoin::hashes::Hash;
use metashrew_store::{BlockHash, Height};

/// A network of Bitcoin, or of something like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Bitcoin.
    Main,
    /// The third test network.
    Testnet3,
    /// The fourth test network.
    Testnet4,
    /// The default signet.
    Signet,
    /// A chain of one's own, for tests.
    Regtest,
    /// Any other.
    Custom {
        /// What each frame of its block files begins with.
        magic: [u8; 4],
    },
}

impl Network {
    /// Those with a name.
    pub const NAMED: [Self; 5] = [
        Self::Main,
        Self::Testnet3,
        Self::Testnet4,
        Self::Signet,
        Self::Regtest,
    ];

    /// What each frame of its block files begins with.
    pub fn magic(self) -> [u8; 4] {
        match (self, self.bitcoin()) {
            (Self::Custom { magic }, _) => magic,
            (_, Some(network)) => network.magic().to_bytes(),
            (_, None) => [0; 4],
        }
    }

    /// The hash of its genesis block, if it is known.
    pub fn genesis(self) -> Option<BlockHash> {
        let genesis = constants::genesis_block(self.bitcoin()?).block_hash();
        Some(BlockHash::from_bytes(genesis.to_byte_array()))
    }

    /// The network with that genesis block, if it has a name.
    pub fn of_genesis(genesis: &BlockHash) -> Option<Self> {
        Self::NAMED
            .into_iter()
            .find(|network| network.genesis().as_ref() == Some(genesis))
    }

    /// Whether it has a name, and so rules that are known.
    pub(crate) fn is_named(self) -> bool {
        !matches!(self, Self::Custom { .. })
    }

    /// The first height at which segregated witness (BIP141) is active, as in Core's
    /// parameters; of a regtest that was told nothing else.
    pub(crate) fn segwit_height(self) -> Option<Height> {
        match self {
            Self::Main => Some(481_824),
            Self::Testnet3 => Some(834_624),
            Self::Testnet4 | Self::Signet => Some(1),
            Self::Regtest => Some(0),
            Self::Custom { .. } => None,
        }
    }

    /// The rules of its proof of work, if they are known.
    pub(crate) fn params(self) -> Option<&'static Params> {
        match self {
            Self::Main => Some(&Params::MAINNET),
            Self::Testnet3 => Some(&Params::TESTNET3),
            Self::Testnet4 => Some(&Params::TESTNET4),
            Self::Signet => Some(&Params::SIGNET),
            Self::Regtest => Some(&Params::REGTEST),
            Self::Custom { .. } => None,
        }
    }

    /// The network whose frames begin so.
    pub(crate) fn of_magic(magic: [u8; 4]) -> Self {
        Self::NAMED
            .into_iter()
            .find(|network| network.magic() == magic)
            .unwrap_or(Self::Custom { magic })
    }

    /// The port on which Core answers RPC if it is told nothing else.
    pub fn rpc_port(self) -> u16 {
        match self {
            Self::Main | Self::Custom { .. } => 8332,
            Self::Testnet3 => 18332,
            Self::Testnet4 => 48332,
            Self::Signet => 38332,
            Self::Regtest => 18443,
        }
    }

    fn bitcoin(self) -> Option<bitcoin::Network> {
        match self {
            Self::Main => Some(bitcoin::Network::Bitcoin),
            Self::Testnet3 => Some(bitcoin::Network::Testnet),
            Self::Testnet4 => Some(bitcoin::Network::Testnet4),
            Self::Signet => Some(bitcoin::Network::Signet),
            Self::Regtest => Some(bitcoin::Network::Regtest),
            Self::Custom { .. } => None,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main => f.write_str("main"),
            Self::Testnet3 => f.write_str("testnet3"),
            Self::Testnet4 => f.write_str("testnet4"),
            Self::Signet => f.write_str("signet"),
            Self::Regtest => f.write_str("regtest"),
            Self::Custom { magic } => f.write_str(&hex::encode(magic)),
        }
    }
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no network: `main`, `testnet3`, `testnet4`, `signet`, `regtest`, or the 8 hex digits of a magic"
)]
pub struct ParseNetworkError {
    /// The text as it was given.
    pub text: String,
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    /// A name as [`Display`](fmt::Display) writes it, or one that Core knows; or a
    /// magic as 8 hex digits, in the order in which the bytes lie in the files.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "main" | "mainnet" | "bitcoin" => Ok(Self::Main),
            "testnet3" | "testnet" | "test" => Ok(Self::Testnet3),
            "testnet4" => Ok(Self::Testnet4),
            "signet" => Ok(Self::Signet),
            "regtest" => Ok(Self::Regtest),
            _ => hex::decode_to_array(text)
                .map(|magic| Self::Custom { magic })
                .map_err(|_| ParseNetworkError {
                    text: text.to_owned(),
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_magics_are_read_as_they_are_written() {
        for network in Network::NAMED {
            assert_eq!(network.to_string().parse(), Ok(network));
            let genesis = network.genesis().unwrap();
            assert_eq!(Network::of_genesis(&genesis), Some(network));
        }
        let custom = Network::Custom {
            magic: [0xc0, 0xc0, 0xc0, 0xc1],
        };
        assert_eq!("c0c0c0c1".parse(), Ok(custom));
        assert_eq!(custom.to_string(), "c0c0c0c1");
        assert_eq!(
            (custom.magic(), custom.genesis()),
            ([0xc0, 0xc0, 0xc0, 0xc1], None)
        );
        for text in ["", "mainnet4", "c0c0c0", "c0c0c0c1c1", "c0c0c0cz"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn bitcoins_own_values_are_known() {
        assert_eq!(Network::Main.magic(), [0xf9, 0xbe, 0xb4, 0xd9]);
        assert_eq!(Network::Testnet4.magic(), [0x1c, 0x16, 0x3f, 0x28]);
        let genesis = Network::Main.genesis().unwrap().to_string();
        assert_eq!(
            genesis,
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
        );
    }
}

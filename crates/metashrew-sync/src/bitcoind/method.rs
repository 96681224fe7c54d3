//! What a node can be asked: one list, which `docs/sources.md` repeats for those who
//! allow methods one by one.

use std::fmt;

/// A method of JSON-RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    ChainInfo,
    BlockHash,
    BlockHeader,
    Block,
    BlockTemplate,
}

impl Method {
    #[cfg(test)]
    const ALL: [Self; 5] = [
        Self::ChainInfo,
        Self::BlockHash,
        Self::BlockHeader,
        Self::Block,
        Self::BlockTemplate,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ChainInfo => "getblockchaininfo",
            Self::BlockHash => "getblockhash",
            Self::BlockHeader => "getblockheader",
            Self::Block => "getblock",
            Self::BlockTemplate => "getblocktemplate",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A path of REST; what follows it names a block or a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestPath {
    Block,
    BlockHashByHeight,
    Headers,
}

impl RestPath {
    pub(super) const ALL: [Self; 3] = [Self::Block, Self::BlockHashByHeight, Self::Headers];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Block => "/rest/block/",
            Self::BlockHashByHeight => "/rest/blockhashbyheight/",
            Self::Headers => "/rest/headers/",
        }
    }
}

impl fmt::Display for RestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_list_what_is_asked() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sources.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let (_, section) = docs.split_once("\n## What a node is asked\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let listed: Vec<_> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let asked: Vec<_> = Method::ALL
            .map(Method::as_str)
            .into_iter()
            .chain(RestPath::ALL.map(RestPath::as_str))
            .collect();
        assert_eq!(listed, asked);
        let whitelist = Method::ALL.map(Method::as_str).join(",");
        assert!(section.contains(&format!("-rpcwhitelist=USER:{whitelist}")));
    }
}

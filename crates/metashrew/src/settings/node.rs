//! What the flags about a node mean to sync.

use std::path::Path;
use std::time::Duration;

use metashrew_sync::{Auth, CoreSettings};

use crate::cli::{Following, NodeArgs};

/// The file in the database's directory with the index of the node's block files.
const BLOCKS_INDEX: &str = "blocks-index";

impl Following {
    /// How long a pending block is used; none if there shall be none.
    pub(crate) fn pending_interval(&self) -> Option<Duration> {
        (self.pending_interval_ms > 0).then(|| Duration::from_millis(self.pending_interval_ms))
    }
}

impl NodeArgs {
    /// How to reach the node at a URL, for a database in the directory `db`.
    pub(crate) fn settings(&self, rpc_url: &str, db: &Path) -> CoreSettings {
        let auth = match (&self.auth, &self.cookie_file) {
            (Some(auth), _) => auth.clone(),
            (None, Some(path)) => Auth::CookieFile(path.clone()),
            (None, None) => Auth::None,
        };
        CoreSettings {
            auth,
            rpc_ca: self.rpc_ca.clone(),
            rest: self.rest,
            blocks_dir: self.blocks_dir.clone(),
            blocks_index: Some(db.join(BLOCKS_INDEX)),
            network: self.magic.or(self.network),
            ..CoreSettings::new(rpc_url)
        }
    }
}

#[cfg(test)]
mod tests {
    use metashrew_sync::Network;

    use super::*;
    use crate::settings::tests::start;

    #[test]
    fn flags_of_the_node_reach_the_library() {
        let start = start(&[
            "--rest",
            "--auth",
            "me:secret",
            "--blocks-dir",
            "bd",
            "--network",
            "regtest",
            "--confirmations",
            "6",
            "--reorg-horizon",
            "10",
            "--poll-interval-ms",
            "20",
        ]);
        let settings = start.node.settings("http://host", Path::new("db"));
        assert_eq!(settings.rpc_url, "http://host");
        assert_eq!(settings.auth, Auth::from_user_pass("me:secret").unwrap());
        assert!(settings.rest);
        assert_eq!(settings.blocks_dir, Some("bd".into()));
        assert_eq!(settings.blocks_index, Some("db/blocks-index".into()));
        assert_eq!(settings.network, Some(Network::Regtest));
        let index = start.index_options();
        assert_eq!((index.confirmations, index.reorg_horizon), (6, 10));
        assert_eq!(index.poll_interval, Some(Duration::from_millis(20)));
        assert!(!index.follow, "files end");
    }
}

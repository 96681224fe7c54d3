//! How a node is reached.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use metashrew_store::BlockHash;
use percent_encoding::percent_decode_str;
use url::Url;

use super::auth::Auth;
use crate::files::FilesError;
use crate::network::Network;

/// How a [`CoreNode`](super::CoreNode) reaches its node.
#[derive(Clone)]
pub struct CoreSettings {
    /// Where the node answers JSON-RPC: `http://HOST:PORT` or `https://HOST:PORT`, with
    /// `USER:PASSWORD@` before the host if you like. Without a port: the network's
    /// usual one, over https 443.
    pub rpc_url: String,
    /// How to log in; comes before what the URL says. Default: as the URL says.
    pub auth: Auth,
    /// A file (PEM) with the certificates to trust over https, in place of those that the
    /// machine trusts. Default: none.
    pub rpc_ca: Option<PathBuf>,
    /// Whether to ask REST first, on the same port: faster than RPC where the node has
    /// it on, and without harm where it has not. Default: no.
    pub rest: bool,
    /// The folder of the node's block files, `blocks` in its own; blocks are read from
    /// there where they are. Default: none.
    pub blocks_dir: Option<PathBuf>,
    /// The file in which the index of the block files is kept between starts, 44 bytes a
    /// block. It is read at the start, and written once
    /// [`keep_blocks_index`](super::CoreNode::keep_blocks_index) was called. Default: none.
    pub blocks_index: Option<PathBuf>,
    /// The network the node must be on. Default: any.
    pub network: Option<Network>,
    /// How long a connection may take. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long a whole answer may take. Default: 60 s.
    pub answer_timeout: Duration,
}

impl fmt::Debug for CoreSettings {
    /// Without the URL, which may hold a password; its host is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.target().map(|target| target.address);
        f.debug_struct("CoreSettings")
            .field("address", &address.unwrap_or_default())
            .field("auth", &self.auth)
            .field("rest", &self.rest)
            .field("blocks_dir", &self.blocks_dir)
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl CoreSettings {
    /// The defaults, for a node at a URL.
    pub fn new(rpc_url: impl Into<String>) -> Self {
        Self {
            rpc_url: rpc_url.into(),
            auth: Auth::None,
            rpc_ca: None,
            rest: false,
            blocks_dir: None,
            blocks_index: None,
            network: None,
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_mins(1),
        }
    }

    /// Checks that the URL can be one of a node, without asking it.
    ///
    /// # Errors
    /// [`SettingsError::Url`], without what may be a password.
    pub fn check_url(&self) -> Result<(), SettingsError> {
        self.target().map(drop)
    }

    /// Where to ask, and as whom.
    pub(super) fn target(&self) -> Result<Target, SettingsError> {
        let bad = |what| SettingsError::Url { what };
        let with_scheme = if self.rpc_url.contains("://") {
            self.rpc_url.clone()
        } else {
            format!("http://{}", self.rpc_url)
        };
        let url = Url::parse(&with_scheme).map_err(|error| bad(error.to_string()))?;
        let is_secure = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(bad(format!(
                    "`{other}` is not spoken, only `http` and `https`"
                )));
            }
        };
        let host = url.host_str().ok_or_else(|| bad("no host".to_owned()))?;
        // The parser leaves out a port that is the scheme's own, 80 or 443.
        let named = with_scheme
            .trim_end_matches('/')
            .ends_with(":80")
            .then_some(80)
            .filter(|_| !is_secure);
        // Core itself does not speak https: what does stands in front of it.
        let usual = if is_secure {
            443
        } else {
            self.network.unwrap_or(Network::Main).rpc_port()
        };
        let port = url.port().or(named).unwrap_or(usual);
        let auth = match (&self.auth, url.username()) {
            (Auth::None, "") => Auth::None,
            (Auth::None, user) => Auth::UserPass {
                user: decoded(user),
                password: decoded(url.password().unwrap_or_default()),
            },
            (given, _) => given.clone(),
        };
        Ok(Target {
            is_secure,
            address: format!("{host}:{port}"),
            path: url.path().to_owned(),
            auth,
        })
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether to ask over https.
    pub(super) is_secure: bool,
    /// Host and port.
    pub(super) address: String,
    pub(super) path: String,
    pub(super) auth: Auth,
}

/// The settings cannot be right.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The URL is none of a node. (It is not shown: it may hold a password.)
    #[error("the node's URL cannot be used: {what}")]
    Url {
        /// What is wrong with it.
        what: String,
    },
    /// The certificates to trust cannot be had from the file named.
    #[error("`{}` cannot be used to check the node's certificate: {what}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The machine trusts no certificates.
    #[error(
        "no certificates are known on this machine to check the node's by ({why}): install `ca-certificates`, or name a file with `--rpc-ca`"
    )]
    NoAuthorities {
        /// What was tried.
        why: String,
    },
    /// The block files cannot be used.
    #[error("the node's block files cannot be used")]
    Files(#[from] FilesError),
}

/// The node is on another network than the settings say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the node at {address} is on another network: its genesis block is {found}{}, that of {expected} is {genesis}",
    Network::of_genesis(found).map(|network| format!(" ({network})")).unwrap_or_default()
)]
pub struct OtherNetwork {
    /// The node's host and port.
    pub address: String,
    /// The network expected.
    pub expected: Network,
    /// Its genesis block.
    pub genesis: BlockHash,
    /// The node's genesis block.
    pub found: BlockHash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_address_path_and_login() {
        let check = |url: &str, address: &str, path: &str, auth: Option<&str>| {
            let target = CoreSettings::new(url).target().unwrap();
            let expected = Target {
                is_secure: url.starts_with("https"),
                address: address.to_owned(),
                path: path.to_owned(),
                auth: auth.map_or(Auth::None, |auth| Auth::from_user_pass(auth).unwrap()),
            };
            assert_eq!(target, expected, "{url}");
        };
        check("http://u:p@h:1234", "h:1234", "/", Some("u:p"));
        check(
            "http://u:p%40%2F=@127.0.0.1:80/",
            "127.0.0.1:80",
            "/",
            Some("u:p@/="),
        );
        check(
            "http://[::1]:18443/wallet/x",
            "[::1]:18443",
            "/wallet/x",
            None,
        );
        check("https://u:p@h", "h:443", "/", Some("u:p"));
        check("https://h:443/x/", "h:443", "/x/", None);
        check("https://h:8332", "h:8332", "/", None);
        check("https://h:80", "h:80", "/", None);
        check("localhost", "localhost:8332", "/", None);
        check("u:p@localhost:1", "localhost:1", "/", Some("u:p"));
    }

    #[test]
    fn the_network_gives_the_port_and_the_login_given_comes_first() {
        let settings = CoreSettings {
            auth: Auth::CookieFile("c".into()),
            network: Some(Network::Signet),
            ..CoreSettings::new("http://u:p@h")
        };
        let target = settings.target().unwrap();
        assert_eq!(target.address, "h:38332");
        assert_eq!(target.auth, Auth::CookieFile("c".into()));
        let shown = format!("{:?}", CoreSettings::new("http://u:secret@h"));
        assert!(
            shown.contains("h:8332") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_no_url_of_a_node_is_refused_without_its_password() {
        for url in [
            "gopher://u:secret@h",
            "https://u:secret@",
            "http://u:secret@",
            "ftp://u:secret@h",
            "http://u:secret@h:99999",
        ] {
            let error = CoreSettings::new(url).target().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

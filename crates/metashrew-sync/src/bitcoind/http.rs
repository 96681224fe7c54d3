//! Requests to the node's port: kept-alive connections, bounded in time and size.

use std::io::Read;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::TlsConfig;

use super::fault::NodeFault;
use super::tls;

/// Idle connections that are kept; as many threads may ask at once without new ones.
const IDLE_CONNECTIONS: usize = 16;

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Where the node answers, and for how long we wait.
pub(super) struct Http {
    agent: Agent,
    /// `http` or `https`.
    scheme: &'static str,
    /// Host and port.
    address: String,
}

impl Http {
    /// With a configuration of TLS, over https.
    pub(super) fn new(
        address: String,
        tls: Option<TlsConfig>,
        connect: Duration,
        answer: Duration,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let agent = Agent::config_builder()
            .tls_config(tls.unwrap_or_default())
            .timeout_connect(Some(connect))
            .timeout_global(Some(answer))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            // The node is reached directly, whatever the environment says of proxies.
            .proxy(None)
            .user_agent("metashrew")
            .build()
            .into();
        Self {
            agent,
            scheme,
            address,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Gets a path; an answer has at most `limit` bytes, what is none is cut there.
    pub(super) fn get(&self, path: &str, limit: u64) -> Result<Reply, NodeFault> {
        let request = self.agent.get(self.url(path));
        self.reply(request.call(), limit)
    }

    /// Posts JSON; the answer has at most `limit` bytes.
    pub(super) fn post(
        &self,
        path: &str,
        login: Option<&str>,
        json: &str,
        limit: u64,
    ) -> Result<Reply, NodeFault> {
        let mut request = self
            .agent
            .post(self.url(path))
            .content_type("application/json");
        if let Some(login) = login {
            request = request.header("authorization", login);
        }
        self.reply(request.send(json), limit)
    }

    fn reply(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
        limit: u64,
    ) -> Result<Reply, NodeFault> {
        let read = |mut response: ureq::http::Response<ureq::Body>| {
            let status = response.status().as_u16();
            if status != 200 {
                // The beginning of an error page says enough, however long it is.
                let mut body = Vec::new();
                let page = response.body_mut().as_reader();
                page.take(limit).read_to_end(&mut body)?;
                return Ok(Reply { status, body });
            }
            let body = response
                .body_mut()
                .with_config()
                .limit(limit)
                .read_to_vec()?;
            Ok(Reply { status, body })
        };
        response.and_then(read).map_err(|source| {
            let address = self.address.clone();
            if tls::is_untrusted(&source) {
                NodeFault::Untrusted { address, source }
            } else {
                NodeFault::Transport { address, source }
            }
        })
    }
}

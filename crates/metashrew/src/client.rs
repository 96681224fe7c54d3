//! Asks a server of `metashrew start`.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::ServerUrl;

type Config = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

/// Bytes of an unexpected answer that are shown.
const SHOWN: usize = 100;

pub(crate) struct Client<'a> {
    agent: ureq::Agent,
    url: &'a ServerUrl,
    /// The longest answer read, in bytes.
    max_answer: u64,
}

/// An error that the server answers.
#[derive(Debug, Deserialize)]
pub(crate) struct RpcError {
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) data: Value,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<RpcError>,
}

impl<'a> Client<'a> {
    /// Waits so long for an answer, and reads so many bytes of it.
    pub(crate) fn new(url: &'a ServerUrl, patience: Duration, max_answer: u64) -> Result<Self> {
        Self::with(url, max_answer, |config| {
            config.timeout_global(Some(patience))
        })
    }

    /// For answers that do not end: waits so long for the next byte of one, and reads so many bytes of a
    /// refusal.
    pub(crate) fn streaming(url: &'a ServerUrl, idle: Duration, max_answer: u64) -> Result<Self> {
        Self::with(url, max_answer, |config| {
            config
                .timeout_connect(Some(idle))
                .timeout_recv_response(Some(idle))
                .timeout_per_read(Some(idle))
        })
    }

    fn with(
        url: &'a ServerUrl,
        max_answer: u64,
        timeouts: impl FnOnce(Config) -> Config,
    ) -> Result<Self> {
        let tls = if url.is_https() {
            metashrew_sync::machine_tls().context("no server can be trusted over https")?
        } else {
            ureq::tls::TlsConfig::default()
        };
        let agent = timeouts(ureq::Agent::config_builder())
            .tls_config(tls)
            // The server's own words are of use: one that is not ready says so with 503.
            .http_status_as_error(false)
            // It is reached directly, whatever the environment says of proxies.
            .proxy(None)
            .user_agent("metashrew")
            .build()
            .into();
        Ok(Self {
            agent,
            url,
            max_answer,
        })
    }

    /// The JSON at a path.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.read(self.open(path, "application/json")?)
    }

    /// What is at a path, of a content type, to be read as it comes.
    pub(crate) fn open(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let mut request = self.agent.get(self.url.at(path)).header("accept", accept);
        if let Some(login) = &self.url.login {
            request = request.header("authorization", login);
        }
        request.call()
    }

    /// What a method answers.
    pub(crate) fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: &str,
        params: &Value,
    ) -> Result<Result<T, RpcError>> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut post = self
            .agent
            .post(self.url.at("/"))
            .content_type("application/json");
        if let Some(login) = &self.url.login {
            post = post.header("authorization", login);
        }
        let answer: Answer<T> = self.read(post.send(request.to_string())?)?;
        match (answer.error, answer.result) {
            (Some(error), _) => Ok(Err(error)),
            (None, Some(result)) => Ok(Ok(result)),
            (None, None) => bail!("it does not answer in JSON-RPC"),
        }
    }

    /// The JSON of an answer.
    pub(crate) fn read<T: for<'de> Deserialize<'de>>(
        &self,
        mut answer: ureq::http::Response<ureq::Body>,
    ) -> Result<T> {
        let status = answer.status();
        let body = answer.body_mut().with_config();
        let body = body.limit(self.max_answer).read_to_vec()?;
        serde_json::from_slice(&body).with_context(|| {
            let start = body.get(..SHOWN).unwrap_or(&body);
            let start = String::from_utf8_lossy(start);
            format!(
                "it answers with HTTP status {status}, and no JSON that is meant here: `{start}`"
            )
        })
    }
}

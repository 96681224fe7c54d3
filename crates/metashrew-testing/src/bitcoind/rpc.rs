//! The tests' own way to ask a node: it shares nothing with the product's.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use super::Settings;

/// Bytes of an answer at most.
const MAX_ANSWER: u64 = 1 << 30;

/// Why a node gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// The node's code; 0 if it could not be asked.
    pub code: i64,
    /// What it said.
    pub message: String,
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl std::error::Error for RpcError {}

impl RpcError {
    fn unreachable(error: impl fmt::Display) -> Self {
        Self {
            code: 0,
            message: error.to_string(),
        }
    }
}

/// Asks one node.
pub(super) struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    pub(super) fn new(address: SocketAddr, settings: &Settings, cookie: &Path) -> Self {
        let login = match &settings.auth {
            Some((user, password)) => format!("{user}:{password}"),
            None => std::fs::read_to_string(cookie).unwrap_or_default(),
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_mins(2)))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        Self {
            agent,
            url: format!("http://{login}@{address}/"),
        }
    }

    pub(super) fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let request = json!({"jsonrpc": "1.0", "id": 0, "method": method, "params": params});
        let mut answer = self
            .agent
            .post(&self.url)
            .send(request.to_string())
            .map_err(RpcError::unreachable)?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_string()
            .map_err(RpcError::unreachable)?;
        let mut answer: Value = serde_json::from_str(&text)
            .map_err(|error| RpcError::unreachable(format!("{error}: {text}")))?;
        let error = answer.get("error").filter(|error| !error.is_null());
        if let Some(error) = error {
            let field = |name| error.get(name).cloned().unwrap_or_default();
            return Err(RpcError {
                code: field("code").as_i64().unwrap_or_default(),
                message: field("message").as_str().unwrap_or_default().to_owned(),
            });
        }
        Ok(answer
            .get_mut("result")
            .map(Value::take)
            .unwrap_or_default())
    }
}

//! JSON-RPC: one question or many in one request. Answers are read in place: a block
//! of megabytes becomes no tree of JSON.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::auth::Login;
use super::dialect::Dialect;
use super::fault::{NodeFault, said_in, start_of};
use super::http::{Http, Reply};
use super::method::Method;

/// Bytes of an answer at most: the largest block in hex, and something around it.
const MAX_ANSWER: u64 = 2 * crate::block::MAX_LEN as u64 + (1 << 20);

/// The node is starting (`RPC_IN_WARMUP`).
const WARMING_UP: i64 = -28;

/// Asks one node.
pub(super) struct Rpc {
    http: Http,
    /// `/`, or that of a wallet.
    path: String,
    login: Login,
    dialect: Dialect,
}

/// What a node answers to one question. Some leave out `error`, some `result`, some
/// send the `id` as text.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    id: Value,
}

/// An error as most nodes send it. Some send a text alone.
#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// The answers to many questions, each of which may be refused.
type Answers<T> = Vec<Result<T, NodeFault>>;

impl Answer<'_> {
    fn id(&self) -> Option<u64> {
        match &self.id {
            Value::String(text) => text.parse().ok(),
            id => id.as_u64(),
        }
    }
}

impl Rpc {
    pub(super) fn new(http: Http, path: String, login: Login) -> Self {
        Self {
            http,
            path,
            login,
            dialect: Dialect::new(),
        }
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Asks, and reads the result.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        params: &Value,
    ) -> Result<T, NodeFault> {
        self.call_reading(method, params, |result| serde_json::from_str(result).ok())
    }

    /// Asks, and has the result read from its JSON.
    pub(super) fn call_reading<T>(
        &self,
        method: Method,
        params: &Value,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, NodeFault> {
        let reply = self.post(&question(method, params, 0))?;
        let answer = self.parse::<Answer<'_>>(method, &reply)?;
        let result = self.result(method, 0, &answer)?;
        read(result).ok_or_else(|| self.other_result(method, result))
    }

    /// Asks one question with many parameters, in as few requests as the node takes,
    /// up to the first that is refused: its place has the error.
    pub(super) fn batch<T: DeserializeOwned>(
        &self,
        method: Method,
        params: &[Value],
    ) -> Result<Answers<T>, NodeFault> {
        let mut answers = Vec::with_capacity(params.len());
        while let Some(rest) = params.get(answers.len()..).filter(|rest| !rest.is_empty()) {
            answers.extend(self.some_of_batch(method, rest)?);
            if let Some(refused) = answers.iter().position(Result::is_err) {
                answers.truncate(refused + 1);
                break;
            }
        }
        Ok(answers)
    }

    /// Asks the first of many questions. Where a batch fails for a reason that may be
    /// its size, or that it is one, a smaller one is tried.
    fn some_of_batch<T: DeserializeOwned>(
        &self,
        method: Method,
        params: &[Value],
    ) -> Result<Answers<T>, NodeFault> {
        let mut failed: Option<NodeFault> = None;
        let mut failed_size = usize::MAX;
        for size in self.dialect.batches() {
            let Some(params) = params.get(..size.min(params.len())) else {
                break;
            };
            let transport = matches!(failed, Some(NodeFault::Transport { .. }));
            if params.len() == failed_size || (transport && size > 1) {
                continue;
            }
            match self.one_batch(method, params) {
                Ok(answers) => {
                    if matches!(answers.first(), Some(Ok(_))) {
                        let address = self.http.address();
                        self.dialect.came_through(size, failed.as_ref(), address);
                    }
                    return Ok(answers);
                }
                Err(fault) if params.len() > 1 && fault.may_be_of_form() => {
                    failed_size = params.len();
                    failed.get_or_insert(fault);
                }
                Err(fault) => return Err(failed.unwrap_or(fault)),
            }
        }
        Err(failed.unwrap_or_else(|| self.other_answer(method)))
    }

    /// Asks in one request.
    fn one_batch<T: DeserializeOwned>(
        &self,
        method: Method,
        params: &[Value],
    ) -> Result<Answers<T>, NodeFault> {
        if let [params] = params {
            return match self.call(method, params) {
                Err(refused @ NodeFault::Refused { .. }) => Ok(vec![Err(refused)]),
                result => Ok(vec![Ok(result?)]),
            };
        }
        let mut questions = String::from("[");
        for (id, params) in params.iter().enumerate() {
            let comma = if id == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(questions, "{comma}{}", question(method, params, id));
        }
        questions.push(']');
        let reply = self.post(&questions)?;
        if reply.body.trim_ascii_start().first() == Some(&b'{') {
            // The request as a whole was refused.
            let answer = self.parse::<Answer<'_>>(method, &reply)?;
            self.result(method, 0, &answer)?;
            return Err(self.other_answer(method));
        }
        let mut answers = self.parse::<Vec<Answer<'_>>>(method, &reply)?;
        answers.sort_by_key(Answer::id);
        if answers.len() != params.len() {
            return Err(self.other_answer(method));
        }
        let mut results = Vec::with_capacity(answers.len());
        for (id, answer) in answers.iter().enumerate() {
            let result =
                match self.result(method, id, answer) {
                    Ok(result) => Ok(serde_json::from_str(result)
                        .map_err(|_| self.other_result(method, result))?),
                    Err(refused @ NodeFault::Refused { .. }) => Err(refused),
                    Err(fault) => return Err(fault),
                };
            results.push(result);
        }
        Ok(results)
    }

    /// Posts, with another login if the node refuses the one we had.
    fn post(&self, json: &str) -> Result<Reply, NodeFault> {
        let post = |login: Option<&str>| self.http.post(&self.path, login, json, MAX_ANSWER);
        let login = self.login.header()?;
        let reply = post(login.as_deref())?;
        if reply.status == 401 && self.login.refused(login.as_deref())? {
            return post(self.login.header()?.as_deref());
        }
        Ok(reply)
    }

    /// Reads an answer, whatever its status: Core sends errors as JSON-RPC too.
    fn parse<'a, T: Deserialize<'a>>(
        &self,
        method: Method,
        reply: &'a Reply,
    ) -> Result<T, NodeFault> {
        let address = self.http.address();
        serde_json::from_slice(&reply.body).map_err(|_| {
            NodeFault::of_status(address, method, reply.status, &reply.body).unwrap_or_else(|| {
                NodeFault::NotJsonRpc {
                    address: address.to_owned(),
                    said: start_of(&reply.body),
                }
            })
        })
    }

    /// The result in an answer, if it is one to that question.
    fn result<'a>(
        &self,
        method: Method,
        id: usize,
        answer: &Answer<'a>,
    ) -> Result<&'a str, NodeFault> {
        if let Some(error) = answer.error.filter(|error| error.get() != "false") {
            let (code, message) = match serde_json::from_str::<Refusal<'_>>(error.get()) {
                Ok(Refusal { code, message }) => (code, message.unwrap_or(error)),
                Err(_) => (None, error),
            };
            let code = code.and_then(|code| serde_json::from_str::<i64>(code.get()).ok());
            let message = match serde_json::from_str::<Cow<'_, str>>(message.get()) {
                Ok(text) => said_in(&text),
                Err(_) => said_in(message.get()),
            };
            return Err(match code {
                Some(WARMING_UP) => NodeFault::Starting { message },
                code => NodeFault::Refused {
                    method: method.as_str(),
                    code: code.unwrap_or_default(),
                    message,
                },
            });
        }
        match answer.result {
            Some(result) if answer.id() == Some(id as u64) => Ok(result.get()),
            _ => Err(self.other_answer(method)),
        }
    }

    fn other_answer(&self, method: Method) -> NodeFault {
        NodeFault::OtherAnswer {
            address: self.http.address().to_owned(),
            method: method.as_str(),
        }
    }

    fn other_result(&self, method: Method, result: &str) -> NodeFault {
        NodeFault::OtherResult {
            address: self.http.address().to_owned(),
            method: method.as_str(),
            said: start_of(result.as_bytes()),
        }
    }
}

fn question(method: Method, params: &Value, id: usize) -> String {
    format!(r#"{{"jsonrpc":"1.0","id":{id},"method":"{method}","params":{params}}}"#)
}

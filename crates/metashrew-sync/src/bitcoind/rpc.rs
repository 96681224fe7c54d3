//! JSON-RPC: one question or many in one request. Answers are read in place: a block
//! of megabytes becomes no tree of JSON.

use std::fmt::Write;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::auth::Login;
use super::fault::{NodeFault, start_of};
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
}

/// What a node answers to one question.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    error: Option<Error>,
    id: Option<Value>,
}

#[derive(Deserialize)]
struct Error {
    code: i64,
    message: String,
}

impl Rpc {
    pub(super) fn new(http: Http, path: String, login: Login) -> Self {
        Self { http, path, login }
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
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
        read(result).ok_or_else(|| self.not_json_rpc(&reply))
    }

    /// Asks one question with many parameters, in one request. Where one is refused,
    /// its place has the error.
    pub(super) fn batch<T: DeserializeOwned>(
        &self,
        method: Method,
        params: &[Value],
    ) -> Result<Vec<Result<T, NodeFault>>, NodeFault> {
        let mut questions = String::from("[");
        for (id, params) in params.iter().enumerate() {
            let comma = if id == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(questions, "{comma}{}", question(method, params, id));
        }
        questions.push(']');
        let reply = self.post(&questions)?;
        if reply.body.first() == Some(&b'{') {
            // The request as a whole was refused.
            let answer = self.parse::<Answer<'_>>(method, &reply)?;
            self.result(method, 0, &answer)?;
            return Err(self.not_json_rpc(&reply));
        }
        let mut answers = self.parse::<Vec<Answer<'_>>>(method, &reply)?;
        answers.sort_by_key(|answer| answer.id.as_ref().and_then(Value::as_u64));
        if answers.len() != params.len() {
            return Err(self.other_answer(method));
        }
        let mut results = Vec::with_capacity(answers.len());
        for (id, answer) in answers.iter().enumerate() {
            let result = match self.result(method, id, answer) {
                Ok(result) => {
                    Ok(serde_json::from_str(result).map_err(|_| self.not_json_rpc(&reply))?)
                }
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
            NodeFault::of_status(address, method, reply.status, &reply.body)
                .unwrap_or_else(|| self.not_json_rpc(reply))
        })
    }

    /// The result in an answer, if it is one to that question.
    fn result<'a>(
        &self,
        method: Method,
        id: usize,
        answer: &Answer<'a>,
    ) -> Result<&'a str, NodeFault> {
        if let Some(Error { code, message }) = &answer.error {
            let message = message.clone();
            return Err(match *code {
                WARMING_UP => NodeFault::Starting { message },
                code => NodeFault::Refused {
                    method: method.as_str(),
                    code,
                    message,
                },
            });
        }
        let asked = answer.id.as_ref().and_then(Value::as_u64) == Some(id as u64);
        match answer.result {
            Some(result) if asked => Ok(result.get()),
            _ => Err(self.other_answer(method)),
        }
    }

    fn other_answer(&self, method: Method) -> NodeFault {
        NodeFault::OtherAnswer {
            address: self.http.address().to_owned(),
            method: method.as_str(),
        }
    }

    fn not_json_rpc(&self, reply: &Reply) -> NodeFault {
        NodeFault::NotJsonRpc {
            address: self.http.address().to_owned(),
            said: start_of(&reply.body),
        }
    }
}

fn question(method: Method, params: &Value, id: usize) -> String {
    format!(r#"{{"jsonrpc":"1.0","id":{id},"method":"{method}","params":{params}}}"#)
}

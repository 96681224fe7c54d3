//! The methods, one file each, and what they share.

mod anchor;
mod discover;
mod getblockhash;
mod height;
mod logs;
mod multicall;
mod options;
mod preview;
mod snapshot;
mod stateroot;
mod stats;
mod subscribe;
mod view;
mod views;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metashrew_runtime::{
    Basis, CallContext, Chain, GuestBacktrace, MetashrewRuntime, ViewAt, ViewError,
};
use metashrew_store::{BlockId, BlockRecord};
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::caller::Caller;
use crate::discovery::Discovery;
use crate::fault::{self, RpcError};
use crate::feed::Subscribe;
use crate::offload::Offload;
use crate::options::HeightCompat;
use crate::parallel::Bounds;
use crate::params::Arguments;
use crate::telemetry::Telemetry;

pub(crate) use options::CallOptions;

/// The names of all methods.
pub(crate) const NAMES: [&str; 13] = [
    "metashrew_view",
    "metashrew_multicall",
    "metashrew_preview",
    "metashrew_height",
    "metashrew_getblockhash",
    "metashrew_stateroot",
    "metashrew_snapshot",
    "metashrew_logs",
    "metashrew_stats",
    "metashrew_views",
    "rpc.discover",
    subscribe::BEGIN,
    subscribe::END,
];

/// What the methods work on.
pub(crate) struct Context {
    pub(crate) runtime: MetashrewRuntime,
    /// What there is to call.
    pub(crate) discovery: Discovery,
    pub(crate) height_compat: HeightCompat,
    /// How the calls of a multicall or of a batch run.
    pub(crate) bounds: Bounds,
    /// Entries of a batch, and calls of a multicall.
    pub(crate) max_batch: usize,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Where long work is done.
    pub(crate) offload: Offload,
}

impl Context {
    /// The moment of the chain that the call stands on: its batch's, or now.
    fn chain(&self, batch: Option<&Chain>) -> Chain {
        batch.cloned().unwrap_or_else(|| self.runtime.chain())
    }

    /// The record of a block.
    async fn block(&self, block: &BlockId, batch: Option<&Chain>) -> Result<BlockRecord, RpcError> {
        let found = self.chain(batch).snapshot().resolve(block).await;
        found.map_err(|error| fault::of_block(&error))
    }
}

/// What a view of the block `at` stands on: its batch's moment, or the chain when it begins
/// to run.
fn basis(batch: Option<&Chain>, at: ViewAt) -> Basis<'_> {
    batch.map_or(Basis::Newest(at), |chain| Basis::In(chain, at))
}

/// What calls about the block `at` stand on, found within the time that they may have: the
/// pending block may have to be executed first.
pub(crate) async fn look_up(
    chain: &Chain,
    at: ViewAt,
    limit: Option<Duration>,
) -> Result<CallContext, ViewError> {
    let found = chain.at(at);
    let Some(limit) = limit else {
        return found.await;
    };
    let backtrace = GuestBacktrace::default();
    let over = |_| Err(ViewError::Timeout { limit, backtrace });
    timeout(limit, found).await.unwrap_or_else(over)
}

/// A call as it came. Its parameters are read when its turn comes: those of all entries of
/// a batch at once may take many times the memory of its text.
pub(crate) struct Call {
    /// One of [`NAMES`], or empty if there is no such method.
    method: &'static str,
    /// JSON: an array or an object.
    params: Option<Bytes>,
}

/// What each method is given.
enum Params {
    View(view::Params),
    Multicall(multicall::Params),
    Preview(preview::Params),
    Height,
    GetBlockHash(BlockId),
    StateRoot(BlockId),
    Snapshot,
    Logs(logs::Params),
    Stats,
    Views,
    Discover,
    Subscribe(Subscribe),
    Unsubscribe(String),
}

impl Call {
    /// `params` stands in `body`.
    pub(crate) fn new(method: &str, params: Option<&RawValue>, body: &Bytes) -> Self {
        let known = NAMES.into_iter().find(|name| *name == method);
        Self {
            method: known.unwrap_or_default(),
            params: params.map(|params| body.slice_ref(params.get().as_bytes())),
        }
    }

    /// The method's name; empty if there is no such method.
    pub(crate) fn method(&self) -> &'static str {
        self.method
    }

    /// The result, on the moment of its `batch` if it is part of one; the
    /// caller's lease holds the parts of it until all are there.
    pub(crate) async fn answer(
        self,
        context: &Arc<Context>,
        batch: Option<&Chain>,
        caller: &Caller,
    ) -> Result<Answer, RpcError> {
        let Self { method, params } = self;
        if subscribe::NAMES.contains(&method) {
            // Whatever the parameters are: the caller learns where they are taken.
            subscribe::subscribing(caller)?;
        }
        let (length, max_batch) = (params.as_ref().map_or(0, Bytes::len), context.max_batch);
        let read = move || Params::read(method, params.as_deref(), max_batch);
        match context.offload.run(length, read).await?? {
            Params::View(params) => params.answer(context, batch).await,
            Params::Multicall(params) => params.answer(context, batch, &caller.lease).await,
            Params::Preview(params) => params.answer(context, batch).await,
            Params::Height => height::answer(context, batch),
            Params::GetBlockHash(block) => getblockhash::answer(&block, context, batch).await,
            Params::StateRoot(block) => stateroot::answer(&block, context, batch).await,
            Params::Snapshot => Ok(snapshot::answer(context, batch)),
            Params::Logs(params) => params.answer(context, batch).await,
            Params::Stats => Ok(stats::answer(context)),
            Params::Views => Ok(views::answer(context)),
            Params::Discover => Ok(discover::answer(context)),
            Params::Subscribe(wanted) => subscribe::begin(wanted, caller).await,
            Params::Unsubscribe(id) => subscribe::end(&id, caller),
        }
    }
}

impl Params {
    /// A multicall may have `max_batch` calls.
    fn read(method: &str, params: Option<&[u8]>, max_batch: usize) -> Result<Self, RpcError> {
        let params = params.map(std::str::from_utf8).transpose();
        let params = params.map_err(|_| RpcError::PARSE)?;
        let block = || Arguments::read(params, ["block"])?.block("block");
        let none = || Arguments::read(params, []).map(drop);
        Ok(match method {
            "metashrew_view" => Self::View(view::Params::read(params)?),
            "metashrew_multicall" => Self::Multicall(multicall::Params::read(params, max_batch)?),
            "metashrew_preview" => Self::Preview(preview::Params::read(params)?),
            "metashrew_height" => none().map(|()| Self::Height)?,
            "metashrew_getblockhash" => Self::GetBlockHash(block()?),
            "metashrew_stateroot" => Self::StateRoot(block()?),
            "metashrew_snapshot" => none().map(|()| Self::Snapshot)?,
            "metashrew_logs" => Self::Logs(logs::Params::read(params)?),
            "metashrew_stats" => none().map(|()| Self::Stats)?,
            "metashrew_views" => none().map(|()| Self::Views)?,
            "rpc.discover" => none().map(|()| Self::Discover)?,
            subscribe::BEGIN => Self::Subscribe(Subscribe::from_json(params)?),
            subscribe::END => Self::Unsubscribe(subscribe::read_id(params)?),
            _ => return Err(RpcError::NOT_FOUND),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::discovery::MethodTable;

    #[test]
    fn every_name_has_a_method() {
        for name in NAMES {
            let read = Params::read(name, None, 0);
            assert_ne!(read.err(), Some(RpcError::NOT_FOUND), "{name}");
            assert_eq!(Call::new(name, None, &Bytes::new()).method(), name);
        }
        let call = Call::new("metashrew_rewind", None, &Bytes::new());
        assert_eq!(call.method(), "");
        let read = Params::read(call.method(), None, 0);
        assert_eq!(read.err(), Some(RpcError::NOT_FOUND));
    }

    /// The methods that are described, each with its parameters: a name, and whether it must be
    /// there.
    fn described() -> Vec<(String, Vec<(String, bool)>)> {
        let methods = MethodTable::read().methods.into_iter();
        let text = |value: &Value| value["name"].as_str().unwrap().to_owned();
        let parameters = |method: &Value| {
            let parameters = method["params"].as_array().unwrap().iter();
            let is_needed = |parameter: &Value| parameter["required"] == true;
            parameters.map(|it| (text(it), is_needed(it))).collect()
        };
        methods
            .map(|method| (text(&method), parameters(&method)))
            .collect()
    }

    #[test]
    fn every_method_is_described() {
        let methods = MethodTable::read().methods;
        for name in NAMES {
            assert!(
                methods.iter().any(|method| method["name"] == name),
                "{name}"
            );
        }
        for (name, _) in described() {
            assert!(NAMES.contains(&name.as_str()), "{name}");
        }
    }

    /// Something that a parameter may be.
    fn sample(parameter: &str) -> Value {
        match parameter {
            "function" => json!("f"),
            "input" | "raw_block" => json!("0x"),
            "block" => json!(170),
            "options" => json!({}),
            "calls" => json!([]),
            "from" | "limit" => json!(1),
            "subscription" => json!("1"),
            _ => panic!("what `{parameter}` may be is not known here"),
        }
    }

    #[test]
    fn parameters_are_read_as_they_are_described() {
        // Which parameters that of subscriptions has depends on the kind: below.
        let methods = described().into_iter();
        for (method, parameters) in methods.filter(|(name, _)| name != subscribe::BEGIN) {
            let read = |params: &Value| {
                let read = Params::read(&method, Some(params.to_string().as_bytes()), 1);
                let wrong = |error: RpcError| error.data.unwrap()["parameter"].clone();
                read.map(drop).map_err(wrong)
            };
            let names = || parameters.iter().map(|(name, _)| name.clone());
            let given: Vec<_> = names().map(|name| sample(&name)).collect();
            assert_eq!(read(&json!(given)), Ok(()), "{method}");
            let by_name: Value = names().zip(given.clone()).collect();
            assert_eq!(read(&by_name), Ok(()), "{method}");
            let mut too_many = given.clone();
            too_many.push(Value::Null);
            assert_eq!(read(&json!(too_many)), Err(Value::Null), "{method}");
            for (place, (name, is_needed)) in parameters.iter().enumerate() {
                let with = |value: Value| {
                    let mut params = given.clone();
                    params[place] = value;
                    read(&json!(params))
                };
                let error = Err(json!(name));
                // None of them is a truth value.
                assert_eq!(with(json!(true)), error, "{method}: the order of `{name}`");
                let expect = if *is_needed { error } else { Ok(()) };
                assert_eq!(
                    with(Value::Null),
                    expect,
                    "{method}: whether `{name}` is needed"
                );
            }
        }
    }

    /// The kinds that have a parameter are named before the colon of its summary.
    #[test]
    fn subscriptions_are_read_as_they_are_described() {
        let read = |params: &Value| {
            let read = Params::read(subscribe::BEGIN, Some(params.to_string().as_bytes()), 1);
            let wrong = |error: RpcError| error.data.unwrap()["parameter"].clone();
            read.map(drop).map_err(wrong)
        };
        let methods = MethodTable::read().methods;
        let is_it = |method: &&Value| method["name"] == subscribe::BEGIN;
        let parameters = &methods.iter().find(is_it).unwrap()["params"];
        let (kind, others) = parameters.as_array().unwrap().split_first().unwrap();
        let kinds = kind["schema"]["enum"].as_array().unwrap();
        assert_eq!(
            (&kind["name"], &kind["required"]),
            (&json!("kind"), &json!(true))
        );
        assert_eq!(read(&json!({})), Err(json!("kind")));
        assert_eq!(read(&json!({ "kind": "blocks" })), Err(json!("kind")));
        assert_eq!(
            read(&json!({ "kind": "heads", "other": 1 })),
            Err(json!("other"))
        );
        for parameter in others {
            let name = parameter["name"].as_str().unwrap();
            assert_eq!(parameter.get("required"), None, "{name}");
            let (told, _) = parameter["summary"]
                .as_str()
                .unwrap()
                .split_once(':')
                .unwrap();
            for kind in kinds {
                let with = |value: Value| {
                    let mut params = json!({ "kind": kind });
                    if kind == "view" {
                        params["function"] = json!("f");
                    }
                    params[name] = value;
                    read(&params)
                };
                let value = match name {
                    "cursor" | "from" => "first",
                    "prefix" | "input" => "0x",
                    "as" => "json",
                    "function" | "storage" => "f",
                    _ => panic!("what `{name}` may be is not known here"),
                };
                let has_it = told.contains(&format!("`{}`", kind.as_str().unwrap()));
                let expect = if has_it { Ok(()) } else { Err(json!(name)) };
                assert_eq!(with(json!(value)), expect, "{kind} {name}");
                assert_eq!(with(json!(true)), Err(json!(name)), "{kind} {name}");
                for choice in parameter["schema"]["enum"].as_array().into_iter().flatten() {
                    assert_eq!(with(choice.clone()), expect, "{kind} {name} {choice}");
                }
            }
        }
    }

    #[test]
    fn options_are_described_as_they_are_read() {
        let schemas = MethodTable::read().schemas;
        let check = |schema: &str, taken: &[&str]| {
            let described = schemas[schema]["properties"].as_object().unwrap();
            let mut taken = taken.to_vec();
            taken.sort_unstable();
            assert_eq!(described.keys().collect::<Vec<_>>(), taken, "{schema}");
        };
        check("ViewOptions", &options::OF_VIEW);
        check("PreviewOptions", &options::OF_PREVIEW);
        check("EntryOptions", &options::OF_ENTRY);
    }

    #[test]
    fn every_method_and_parameter_is_documented() {
        let document = include_str!("../../../../docs/rpc.md");
        for (method, parameters) in described() {
            let heading = format!("\n### `{method}`\n");
            let (_, section) = document
                .split_once(&heading)
                .unwrap_or_else(|| panic!("{method}"));
            let section = section.split("\n##").next().unwrap();
            for (name, _) in parameters {
                assert!(
                    section.contains(&format!("\n| `{name}` | ")),
                    "{method}: `{name}`"
                );
            }
        }
    }
}

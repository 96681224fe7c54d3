//! Calls of a guest's functions: what ends one other than well comes back as a value.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use wasmtime::{Extern, ModuleExport, Store, TypedFunc, WasmParams, WasmResults};

use crate::context::Context;
use crate::fault::Fault;

/// The hook of an instance of the compilation that `hook` belongs to.
pub(crate) fn exported<R: WasmResults>(
    store: &mut Store<Context>,
    instance: wasmtime::Instance,
    hook: Option<&ModuleExport>,
) -> Option<TypedFunc<i32, R>> {
    match instance.get_module_export(&mut *store, hook?)? {
        Extern::Func(function) => function.typed(store).ok(),
        _ => None,
    }
}

/// Calls a function of the guest.
pub(crate) async fn call<P, R>(
    store: &mut Store<Context>,
    function: &TypedFunc<P, R>,
    parameters: P,
) -> Result<R, Fault>
where
    P: WasmParams + Sync,
    R: WasmResults + Sync,
{
    guarded(function.call_async(&mut *store, parameters))
        .await
        .map_err(|ended| ended.fault(store))
}

/// How a guest's run ended other than well. The instance must not be used again.
pub(crate) enum Ended {
    Failed(wasmtime::Error),
    Panicked(Box<dyn Any + Send>),
}

impl Ended {
    pub(crate) fn fault(self, store: &Store<Context>) -> Fault {
        match self {
            Self::Failed(error) => Fault::of(error, &store.data().offsets),
            Self::Panicked(payload) => Fault::panic(payload.as_ref()),
        }
    }
}

/// Runs a guest: traps and panics of host functions come back as values.
pub(crate) async fn guarded<T>(run: impl Future<Output = wasmtime::Result<T>>) -> Result<T, Ended> {
    let mut run = pin!(run);
    std::future::poll_fn(
        |task| match catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(task))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(Ended::Failed)),
            Err(payload) => Poll::Ready(Err(Ended::Panicked(payload))),
        },
    )
    .await
}

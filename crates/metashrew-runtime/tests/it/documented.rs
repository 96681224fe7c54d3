//! The programs that README.md and docs/views.md show, to the letter: a test of the
//! command compares them.

use std::error::Error;
use std::path::Path;

use metashrew_runtime::{MetashrewRuntime, Route, ViewAnswer, ViewCall};
use metashrew_store::Store;

/// README.md.
async fn library(path: &Path, input: &[u8]) -> Result<ViewAnswer, Box<dyn Error>> {
    use metashrew_runtime::MetashrewRuntime;
    use metashrew_store::{BlockId, Store, StoreOptions};

    let store = Store::open(path, StoreOptions::default())?;
    let runtime = MetashrewRuntime::load("addresses.wasm", store)?; // stateful views are on
    let answer = runtime.view("balance", input, &BlockId::Latest).await?; // any height, any number of callers
    Ok(answer)
}

/// docs/views.md.
#[expect(clippy::print_stdout, reason = "a program may")]
async fn program(store: Store, input: &[u8]) -> Result<ViewAnswer, Box<dyn Error>> {
    let runtime = MetashrewRuntime::load("guest.wasm", store)?; // stateful views are on
    assert!(runtime.is_stateful_views_enabled());

    runtime.disable_stateful_views(); // every call runs on a fresh instance
    runtime.enable_stateful_views().await?; // and back; calls under way don't notice
    runtime.enable_stateful_views_sync()?; // the same without a future

    let answer = runtime
        .call(ViewCall {
            route: Route::Session("alice"),
            ..ViewCall::new("visit", input)
        })
        .await?;

    println!("{:?}", runtime.view_stats()); // calls, errors, latency, instances, memory
    Ok(answer)
}

/// They compile; the guests that they name are not where tests run.
#[tokio::test]
async fn programs_name_the_guest_that_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let error = library(directory.path(), b"").await.unwrap_err();
    assert!(error.to_string().contains("addresses.wasm"), "{error}");
    let error = program(Store::in_memory(), b"").await.unwrap_err();
    assert!(error.to_string().contains("guest.wasm"), "{error}");
}

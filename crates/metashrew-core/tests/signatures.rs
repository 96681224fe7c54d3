//! The names, paths and signatures that guests in the wild compile against. A
//! change that breaks one of them breaks those guests: this file then does not
//! compile.
#![allow(clippy::type_complexity, reason = "the types are what is tested")]

use metashrew_core::index_pointer::{
    AtomicPointer, IndexCheckpoint, IndexCheckpointStack, IndexPointer,
};
use metashrew_core::proto::metashrew::KeyValueFlush;
use metashrew_core::stdio::{Error, Stdout, Write, log, stdout};
use metashrew_core::{compat, imports};
use metashrew_support::index_pointer::KeyValuePointer;
use std::collections::HashMap;
use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex};

type Bytes = Arc<Vec<u8>>;

#[test]
fn functions_keep_their_signatures() {
    let _: fn() -> &'static HashMap<Bytes, Bytes> = metashrew_core::get_cache;
    let _: fn(Bytes) -> Bytes = metashrew_core::get;
    let _: fn(Bytes, Bytes) = metashrew_core::set;
    let _: fn() -> Vec<u8> = metashrew_core::input;
    let _: fn(Vec<u8>) -> i32 = metashrew_core::export_bytes;
    let _: [fn(); 4] = [
        metashrew_core::flush,
        metashrew_core::initialize,
        metashrew_core::reset,
        metashrew_core::clear,
    ];
    let _: fn(&PanicHookInfo) = compat::panic_hook;
    let _: (fn() -> Stdout, fn(Bytes)) = (metashrew_core::stdout, log);
    let _: fn(Vec<u8>) = imports::__set_input;
    let _: fn() -> u64 = imports::__now;
    let written: Result<(), Error> = stdout().write_str("text");
    assert!(written.is_ok());
    let _ = KeyValueFlush { list: vec![] };
}

#[test]
fn imports_keep_their_names() {
    let _: unsafe extern "C-unwind" fn() -> i32 = imports::__host_len;
    let _: unsafe extern "C-unwind" fn(i32) -> i32 = imports::__get_len;
    let _: unsafe extern "C-unwind" fn(i32, i32) = imports::__get;
    let _: [unsafe extern "C-unwind" fn(i32); 3] =
        [imports::__load_input, imports::__flush, imports::__log];
}

#[test]
fn pointers_keep_their_methods() {
    fn common<T: KeyValuePointer + Clone + Default + std::fmt::Debug>() {}
    common::<IndexPointer>();
    common::<AtomicPointer>();
    let mut pointer = AtomicPointer::default().derive(&IndexPointer::from_keyword("a"));
    pointer.checkpoint();
    assert_eq!(pointer.checkpoint_depth(), 2);
    pointer.rollback();
    pointer.commit();
    let _: IndexPointer = pointer.get_pointer();
    let checkpoint = IndexCheckpoint(HashMap::new());
    let stack = IndexCheckpointStack(Arc::new(Mutex::new(vec![checkpoint])));
    assert_eq!(
        (stack.depth(), IndexCheckpointStack::default().depth()),
        (1, 1)
    );
}

#[test]
fn printing_takes_what_std_takes() {
    use metashrew_core::{print, println};
    metashrew_core::test_utils::reset();
    let name = "guest";
    println!("{name}: {} {:?}", 1, [2]);
    print!("{}", name);
    let log = metashrew_core::test_utils::take_log();
    assert_eq!(log, ["guest: 1 [2]\n", "guest"]);
}

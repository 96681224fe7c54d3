//! The names a guest imports and exports.

/// The module every host function lives in.
pub const MODULE: &str = "env";

/// `() -> i32`: the length of the input, four bytes of height included.
pub const HOST_LEN: &str = "__host_len";
/// `(ptr)`: writes height (u32 little-endian) and payload at `ptr`.
pub const LOAD_INPUT: &str = "__load_input";
/// `(key) -> i32`: the length of a key's value, 0 if there is none.
pub const GET_LEN: &str = "__get_len";
/// `(key, ptr)`: writes a key's value at `ptr`.
pub const GET: &str = "__get";
/// `(ptr)`: hands over a `KeyValueFlush`.
pub const FLUSH: &str = "__flush";
/// `(ptr)`: logs UTF-8 text.
pub const LOG: &str = "__log";
/// `(message, file, line, column)`: AssemblyScript's abort; ends the call.
pub const ABORT: &str = "abort";

/// All imports that this host provides.
pub const PROVIDED: [&str; 7] = [HOST_LEN, LOAD_INPUT, GET_LEN, GET, FLUSH, LOG, ABORT];

/// The export that indexes one block: `() -> ()`.
pub const START: &str = "_start";
/// The exported linear memory.
pub const MEMORY: &str = "memory";
/// The optional export that describes the guest: `() -> i32`, a pointer to an
/// [`IndexerMetadata`](crate::proto::IndexerMetadata).
pub const META: &str = "__meta";

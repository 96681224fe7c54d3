//! The names a guest imports and exports.

/// The module of the host functions that every Metashrew host has.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, "__get"));
/// ```
pub const MODULE: &str = "env";

/// `() -> i32`: the length of the input, four bytes of height included.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::HOST_LEN));
/// ```
pub const HOST_LEN: &str = "__host_len";
/// `(ptr)`: writes height (u32 little-endian) and payload at `ptr`.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::LOAD_INPUT));
/// ```
pub const LOAD_INPUT: &str = "__load_input";
/// `(key) -> i32`: the length of a key's value, 0 if there is none.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::GET_LEN));
/// ```
pub const GET_LEN: &str = "__get_len";
/// `(key, ptr)`: writes a key's value at `ptr`.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::GET));
/// ```
pub const GET: &str = "__get";
/// `(ptr)`: hands over a `KeyValueFlush`.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::FLUSH));
/// ```
pub const FLUSH: &str = "__flush";
/// `(ptr)`: logs UTF-8 text.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::LOG));
/// ```
pub const LOG: &str = "__log";
/// `(message, file, line, column)`: AssemblyScript's abort; ends the call.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::MODULE, imports::ABORT));
/// ```
pub const ABORT: &str = "abort";

/// All of [`MODULE`].
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::PROVIDED.contains(&"__flush"));
/// ```
pub const PROVIDED: [&str; 7] = [HOST_LEN, LOAD_INPUT, GET_LEN, GET, FLUSH, LOG, ABORT];

/// The module of the host functions that other Metashrew hosts may lack. A guest that
/// imports none of them runs on any.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::OPTIONAL_MODULE, "read_many"));
/// ```
pub const OPTIONAL_MODULE: &str = "metashrew";

/// `(keys) -> i32`: reads many keys ([`many`](crate::many)), and returns the answer's length
/// or an error's code.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::OPTIONAL_MODULE, imports::READ_MANY));
/// ```
pub const READ_MANY: &str = "read_many";
/// `(request) -> i32`: reads keys in order ([`range`](crate::range)), and returns the
/// answer's length.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::OPTIONAL_MODULE, imports::READ_RANGE));
/// ```
pub const READ_RANGE: &str = "read_range";
/// `(ptr)`: writes the answer at `ptr`; the host drops it.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::is_provided(imports::OPTIONAL_MODULE, imports::LOAD_ANSWER));
/// ```
pub const LOAD_ANSWER: &str = "load_answer";

/// All of [`OPTIONAL_MODULE`].
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::PROVIDED_OPTIONAL.contains(&"load_answer"));
/// ```
pub const PROVIDED_OPTIONAL: [&str; 3] = [READ_MANY, READ_RANGE, LOAD_ANSWER];

/// Whether this host provides the function `name` of `module`.
///
/// ```
/// use metashrew_abi::imports;
///
/// assert!(imports::is_provided("env", "__get"));
/// assert!(imports::is_provided("metashrew", "read_range"));
/// assert!(!imports::is_provided("env", "read_range"));
/// ```
pub fn is_provided(module: &str, name: &str) -> bool {
    match module {
        MODULE => PROVIDED.contains(&name),
        OPTIONAL_MODULE => PROVIDED_OPTIONAL.contains(&name),
        _ => false,
    }
}

/// What the names of the exports begin with that a host may use or pass over.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!("__metashrew_begin".starts_with(imports::OPTIONAL_EXPORTS));
/// ```
pub const OPTIONAL_EXPORTS: &str = "__metashrew_";

/// The export that indexes one block: `() -> ()`.
///
/// ```
/// # use metashrew_abi::imports;
/// assert_eq!(imports::START, "_start");
/// ```
pub const START: &str = "_start";
/// The exported linear memory.
///
/// ```
/// # use metashrew_abi::imports;
/// assert_eq!(imports::MEMORY, "memory");
/// ```
pub const MEMORY: &str = "memory";
/// The optional export that describes the guest: `() -> i32`, a pointer to an
/// [`IndexerMetadata`](crate::proto::IndexerMetadata).
///
/// ```
/// # use metashrew_abi::imports;
/// assert_eq!(imports::META, "__meta");
/// ```
pub const META: &str = "__meta";
/// The export by which a guest says that the answers of its views follow from state and input
/// alone, whatever the height: of any type but `() -> i32`. With a view's name behind a dot it
/// says so of that view alone.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::HEIGHT_INDEPENDENT.starts_with(imports::OPTIONAL_EXPORTS));
/// ```
pub const HEIGHT_INDEPENDENT: &str = "__metashrew_height_independent";
/// How the names of optional exports `(i32) -> i32` begin, each of which answers with a
/// piece of the guest's [`IndexerMetadata`](crate::proto::IndexerMetadata). The argument is
/// 0, and reserved.
///
/// ```
/// # use metashrew_abi::imports;
/// assert!(imports::META_PIECE.starts_with(imports::OPTIONAL_EXPORTS));
/// ```
pub const META_PIECE: &str = "__metashrew_meta.";

//! `println!`, `print!`, `export!` and `declare_indexer!`.

mod promises;

#[doc(hidden)]
pub use prost::Message;

/// A block as `declare_indexer!` hands it to `index_block`.
///
/// ```
/// use metashrew_core::macros::DecodeBlock;
///
/// struct Text(String);
///
/// impl DecodeBlock for Text {
///     fn decode_block(bytes: &[u8]) -> Result<Self, String> {
///         let text = String::from_utf8(bytes.to_vec());
///         text.map(Self).map_err(|error| error.to_string())
///     }
/// }
///
/// assert_eq!(Text::decode_block(b"block").unwrap().0, "block");
/// assert!(Text::decode_block(b"\xff").is_err());
/// ```
pub trait DecodeBlock: Sized {
    /// Reads the block as the host gives it.
    ///
    /// ```
    /// # use metashrew_core::macros::DecodeBlock;
    /// assert_eq!(Vec::decode_block(b"block").unwrap(), b"block");
    /// assert!(bitcoin::Block::decode_block(b"block").is_err());
    /// ```
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    fn decode_block(bytes: &[u8]) -> Result<Self, String>;
}

impl DecodeBlock for Vec<u8> {
    fn decode_block(bytes: &[u8]) -> Result<Self, String> {
        Ok(bytes.to_vec())
    }
}

#[cfg(feature = "bitcoin")]
impl DecodeBlock for bitcoin::Block {
    fn decode_block(bytes: &[u8]) -> Result<Self, String> {
        bitcoin::consensus::deserialize(bytes).map_err(|error| error.to_string())
    }
}

#[cfg(feature = "bitcoin")]
impl DecodeBlock for metashrew_support::block::AuxpowBlock {
    fn decode_block(bytes: &[u8]) -> Result<Self, String> {
        let mut cursor = std::io::Cursor::new(bytes.to_vec());
        Self::parse(&mut cursor).map_err(|error| error.to_string())
    }
}

/// Logs formatted text at the host, as one message.
///
/// With the feature `silent`, and without `debug-log`, it does nothing: not even what
/// stands among its arguments.
///
/// ```
/// metashrew_core::print!("{} blocks", 7);
/// assert_eq!(metashrew_core::test_utils::take_log(), ["7 blocks"]);
/// ```
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {
        if $crate::stdio::LOGS {
            $crate::host::log(&::std::format!($($argument)*));
        }
    };
}

/// Logs formatted text at the host, as one message that ends in a line break.
///
/// With the feature `silent`, and without `debug-log`, it does nothing: not even what
/// stands among its arguments.
///
/// ```
/// metashrew_core::println!("{} blocks", 7);
/// assert_eq!(metashrew_core::test_utils::take_log(), ["7 blocks\n"]);
/// ```
#[macro_export]
macro_rules! println {
    () => {
        if $crate::stdio::LOGS {
            $crate::host::log("\n");
        }
    };
    ($($argument:tt)*) => {
        if $crate::stdio::LOGS {
            $crate::host::log(&(::std::format!($($argument)*) + "\n"));
        }
    };
}

/// Exports what the host calls: `_start`, the views, and `__meta`, which
/// describes them, and tells name and version of the package.
///
/// `start` is a `fn(u32, &[u8]) -> Result<(), E>` over height and block; each
/// view is a `fn(u32, &[u8]) -> Result<Vec<u8>, E>` over the height it stands on
/// and the caller's bytes, named as it is exported, with a text about its input
/// and one about its answer. An error ends the call with its text and those of its sources;
/// a type that can only be displayed does as an error, too.
///
/// With `memory: by_height,` between the two, one instance may answer for every
/// block; with `memory: across_blocks,` memory is kept from one block to the next while
/// indexing; with `memory: answers,` the views mean to answer from what earlier calls left.
/// `memory: by_height and answers,` says both: see [`memory!`](crate::memory) for what each
/// promises.
///
/// The symbols exist in wasm only; natively, tests call the functions
/// ([`test_utils`](crate::test_utils)).
///
/// ```
/// # use std::convert::Infallible;
/// fn index(_height: u32, block: &[u8]) -> Result<(), Infallible> {
///     metashrew_core::set(b"/newest".to_vec().into(), block.to_vec().into());
///     Ok(())
/// }
///
/// fn newest(_height: u32, _input: &[u8]) -> Result<Vec<u8>, Infallible> {
///     Ok(metashrew_core::get(b"/newest".to_vec().into()).to_vec())
/// }
///
/// metashrew_core::export! {
///     start: index,
///     memory: by_height and across_blocks,
///     views: { newest: "nothing" => "the newest block" },
/// }
///
/// # use metashrew_core::test_utils;
/// test_utils::index_block(7, b"block", index);
/// assert_eq!(test_utils::view(7, b"", newest), b"block");
/// ```
#[macro_export]
macro_rules! export {
    (
        start: $start:path,
        $(memory: $($memory:ident)and+,)?
        views: { $($view:ident: $input:literal => $output:literal),* $(,)? } $(,)?
    ) => {
        $($($crate::memory!($memory);)+)?
        const _: () = {
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "_start"))]
            #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
            extern "C" fn __start() {
                $crate::entry::start(|height, block| {
                    $start(height, block).map_err(|error| $crate::__failure_text!(error))
                });
            }
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "__meta"))]
            #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
            extern "C" fn __meta() -> i32 {
                $crate::entry::describe(
                    ::core::option_env!("CARGO_PKG_NAME").unwrap_or_default(),
                    ::core::option_env!("CARGO_PKG_VERSION").unwrap_or_default(),
                    &[$((::core::stringify!($view), $input, $output)),*],
                )
            }
        };
        $(const _: () = {
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = ::core::stringify!($view)))]
            #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
            extern "C" fn __view() -> i32 {
                $crate::entry::view(|height, input| {
                    $view(height, input).map_err(|error| $crate::__failure_text!(error))
                })
            }
        };)*
    };
}

/// Declares an indexer whose views speak protobuf.
///
/// `index_block` gets the height and the decoded block ([`DecodeBlock`](crate::macros::DecodeBlock));
/// a `#[view]` takes a `prost` message and answers with one. `#[view(height_independent)]` promises
/// what [`height_independent!`](crate::height_independent) does. The macro exports
/// `_start` (which flushes at the end), every view (-1 on an error, which is
/// logged) and `__meta`.
///
/// ```
/// # mod proto {
/// #     #[derive(Clone, PartialEq, prost::Message)]
/// #     pub struct Question { #[prost(uint32, tag = "1")] pub height: u32 }
/// #     #[derive(Clone, PartialEq, prost::Message)]
/// #     pub struct Answer { #[prost(uint64, tag = "1")] pub bytes: u64 }
/// # }
/// use metashrew_core::index_pointer::IndexPointer;
/// use metashrew_support::index_pointer::KeyValuePointer;
///
/// struct Sizes;
///
/// metashrew_core::declare_indexer! {
///     impl Sizes {
///         fn index_block(height: u32, block: Vec<u8>) {
///             let size = u64::try_from(block.len()).expect("a length fits");
///             IndexPointer::from_keyword("/size/").select_value(height).set_value(size);
///         }
///
///         #[view]
///         fn size(question: proto::Question) -> Result<proto::Answer, String> {
///             let size = IndexPointer::from_keyword("/size/").select_value(question.height);
///             Ok(proto::Answer { bytes: size.get_value() })
///         }
///     }
/// }
///
/// Sizes::index_block(7, b"block".to_vec());
/// assert_eq!(Sizes::size(proto::Question { height: 7 }).unwrap().bytes, 5);
/// ```
#[macro_export]
macro_rules! declare_indexer {
    (
        impl $indexer:ident {
            fn index_block($height:ident: u32, $block:ident: $block_type:ty) $index:block
            $(
                #[view $(($promise:ident))?]
                fn $view:ident($request:ident: $request_type:ty) -> Result<$response_type:ty, $error_type:ty $(,)?> $answer:block
            )*
        }
    ) => {
        impl $indexer {
            /// Indexes one block.
            pub fn index_block($height: u32, $block: $block_type) $index
            $(
                /// Answers a request.
                pub fn $view($request: $request_type) -> Result<$response_type, $error_type> $answer
            )*
        }

        const _: () = {
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "_start"))]
            #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
            extern "C" fn __start() {
                $crate::entry::start(|height, block| {
                    let block = <$block_type as $crate::macros::DecodeBlock>::decode_block(block)?;
                    $indexer::index_block(height, block);
                    ::core::result::Result::<(), ::std::string::String>::Ok(())
                });
            }
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = "__meta"))]
            #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
            extern "C" fn __meta() -> i32 {
                $crate::entry::describe(
                    ::core::option_env!("CARGO_PKG_NAME").unwrap_or_default(),
                    ::core::option_env!("CARGO_PKG_VERSION").unwrap_or_default(),
                    &[$((
                        ::core::stringify!($view),
                        ::core::stringify!($request_type),
                        ::core::stringify!($response_type),
                    )),*],
                )
            }
        };
        $(const _: () = {
            #[cfg_attr(target_arch = "wasm32", unsafe(export_name = ::core::stringify!($view)))]
            #[allow(dead_code, unsafe_code, reason = "the host calls it by its symbol")]
            extern "C" fn __view() -> i32 {
                $crate::entry::message_view($indexer::$view)
            }
        };
        $($crate::__view_promise!($promise, $view);)?)*
    };
}

//! What a guest says of itself: `__meta`, and the pieces that stand beside it.

use crate::buffers;
use metashrew_abi::proto::{IndexerMetadata, MAX_METADATA_BYTES, ViewFunction};
use prost::Message;

/// Describes a guest that does not tell its name: as [`describe`].
///
/// ```
/// # use metashrew_abi::proto::IndexerMetadata;
/// # use metashrew_core::{entry, test_utils};
/// # use prost::Message;
/// let meta = || entry::meta(&[("size", "nothing", "bytes of the block")]);
/// let metadata = IndexerMetadata::decode(&test_utils::view_export(0, b"", meta)[..])?;
/// assert_eq!(metadata.view_functions[0].name, "size");
/// # Ok::<_, prost::DecodeError>(())
/// ```
pub fn meta(views: &[(&str, &str, &str)]) -> i32 {
    describe("", "", views)
}

/// Describes the guest by its name, its version and its views, each with what it
/// takes and what it answers: the body of `__meta`.
///
/// ```
/// # use metashrew_abi::proto::IndexerMetadata;
/// # use metashrew_core::{entry, test_utils};
/// # use prost::Message;
/// let meta = || entry::describe("ledger", "1.2.0", &[]);
/// let metadata = IndexerMetadata::decode(&test_utils::view_export(0, b"", meta)[..])?;
/// assert_eq!((&*metadata.name, &*metadata.version), ("ledger", "1.2.0"));
/// # Ok::<_, prost::DecodeError>(())
/// ```
pub fn describe(name: &str, version: &str, views: &[(&str, &str, &str)]) -> i32 {
    let view_functions = views.iter().map(|(name, input, output)| ViewFunction {
        name: (*name).to_owned(),
        input_type: (*input).to_owned(),
        output_type: (*output).to_owned(),
        ..ViewFunction::default()
    });
    piece(IndexerMetadata {
        view_functions: view_functions.collect(),
        ..guest(name, version)
    })
}

/// Describes a guest whose views describe themselves: the body of `__meta`.
#[doc(hidden)]
pub fn describe_guest(name: &str, version: &str, doc: &str) -> i32 {
    piece(IndexerMetadata {
        doc: doc.to_owned(),
        ..guest(name, version)
    })
}

/// Describes one view: its doc comment, its types (input, then answer) and their schemas.
#[doc(hidden)]
pub fn describe_view(name: &str, doc: &str, types: [&str; 2], schemas: [String; 2]) -> i32 {
    let [input_type, output_type] = types.map(str::to_owned);
    let [input_schema, output_schema] = schemas;
    piece(IndexerMetadata {
        view_functions: vec![ViewFunction {
            name: name.to_owned(),
            input_type,
            output_type,
            doc: doc.to_owned(),
            input_schema,
            output_schema,
        }],
        ..IndexerMetadata::default()
    })
}

/// Answers with a piece of the guest's description: the body of an export
/// `__metashrew_meta.NAME: (i32) -> i32`.
///
/// The host puts what `__meta` and these answer one behind the other, so each tells only
/// what is its own. A piece that no host would read (it alone is longer than 256 KiB) is
/// left out.
///
/// ```
/// # use metashrew_abi::proto::IndexerMetadata;
/// # use metashrew_core::{entry, test_utils};
/// # use prost::Message;
/// let own = IndexerMetadata { doc: "Counts transfers.".to_owned(), ..Default::default() };
/// let answer = test_utils::view_export(0, b"", || entry::piece(own.clone()));
/// assert_eq!(IndexerMetadata::decode(&answer[..])?, own);
/// # Ok::<_, prost::DecodeError>(())
/// ```
pub fn piece(piece: IndexerMetadata) -> i32 {
    let piece = if piece.encoded_len() > MAX_METADATA_BYTES {
        IndexerMetadata::default()
    } else {
        piece
    };
    buffers::export_bytes(piece.encode_to_vec())
}

fn guest(name: &str, version: &str) -> IndexerMetadata {
    IndexerMetadata {
        compiler_version: concat!("metashrew-core ", env!("CARGO_PKG_VERSION")).to_owned(),
        rustc_version: env!("METASHREW_RUSTC_VERSION").to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        ..IndexerMetadata::default()
    }
}

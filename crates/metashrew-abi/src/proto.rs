//! The protobuf messages that cross the boundary.

use prost::Message;

/// The longest `__meta` that a host reads, in bytes.
///
/// A host that decodes one takes up to 72 times its length: an empty view or store is
/// two bytes here and 144 in memory. So at most 19 MiB, and twice that while a list
/// grows.
///
/// ```
/// # use metashrew_abi::proto::MAX_METADATA_BYTES;
/// assert_eq!(MAX_METADATA_BYTES, 262_144);
/// ```
pub const MAX_METADATA_BYTES: usize = 256 * 1024;

/// What a guest hands over with `__flush`: key, value, key, value…
///
/// ```
/// # use metashrew_abi::{flush, proto::KeyValueFlush};
/// use prost::Message;
/// let message = KeyValueFlush { list: vec![b"k".to_vec(), b"v".to_vec()] }.encode_to_vec();
/// assert_eq!(message, flush::encode([(&b"k"[..], &b"v"[..])]));
/// ```
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyValueFlush {
    /// Keys and values in turn.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub list: Vec<Vec<u8>>,
}

/// One view, as a guest describes it.
///
/// ```
/// # use metashrew_abi::proto::ViewFunction;
/// use prost::Message;
/// let written = ViewFunction { name: "balance".to_owned(), ..ViewFunction::default() };
/// let read = ViewFunction::decode(&*written.encode_to_vec())?;
/// assert_eq!(read.name, "balance");
/// # Ok::<(), prost::DecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ViewFunction {
    /// The export's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it takes.
    #[prost(string, tag = "2")]
    pub input_type: String,
    /// What it answers.
    #[prost(string, tag = "3")]
    pub output_type: String,
    /// What it is for, in the author's words; lines stay lines.
    #[prost(string, tag = "4")]
    pub doc: String,
    /// A JSON Schema of what it takes; empty if there is none.
    #[prost(string, tag = "5")]
    pub input_schema: String,
    /// A JSON Schema of what it answers; empty if there is none.
    #[prost(string, tag = "6")]
    pub output_schema: String,
}

/// One part of the keys of a [`Storage`].
///
/// ```
/// # use metashrew_abi::proto::KeyPart;
/// use prost::Message;
/// let part = KeyPart { name: "height".to_owned(), ty: "u32".to_owned() };
/// assert_eq!(KeyPart::decode(&*part.encode_to_vec())?, part);
/// # Ok::<(), prost::DecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyPart {
    /// What the part is: `owner`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type, by which its bytes are read: `u32`.
    #[prost(string, tag = "2")]
    pub ty: String,
}

/// Some of a guest's keys, and what lies under them.
///
/// ```
/// # use metashrew_abi::proto::Storage;
/// use prost::Message;
/// let written = Storage { name: "balances".to_owned(), ..Storage::default() };
/// let read = Storage::decode(&*written.encode_to_vec())?;
/// assert_eq!(read.name, "balances");
/// # Ok::<(), prost::DecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Storage {
    /// What it is called: `balances`.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How all of its keys begin.
    #[prost(bytes = "vec", tag = "2")]
    pub prefix: Vec<u8>,
    /// Its kind: `item`, `map`…
    #[prost(string, tag = "3")]
    pub kind: String,
    /// What follows the prefix, in order.
    #[prost(message, repeated, tag = "4")]
    pub key: Vec<KeyPart>,
    /// The type of its values.
    #[prost(string, tag = "5")]
    pub value: String,
    /// What it is for, in the author's words.
    #[prost(string, tag = "6")]
    pub doc: String,
}

/// What a guest says of itself in `__meta`.
///
/// ```
/// # use metashrew_abi::proto::IndexerMetadata;
/// use prost::Message;
/// let written = IndexerMetadata { version: "1.0.0".to_owned(), ..IndexerMetadata::default() };
/// let read = IndexerMetadata::decode(&*written.encode_to_vec())?;
/// assert_eq!(read.version, "1.0.0");
/// # Ok::<(), prost::DecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IndexerMetadata {
    /// The compiler that built it.
    #[prost(string, tag = "1")]
    pub compiler_version: String,
    /// The version of rustc that built it.
    #[prost(string, tag = "2")]
    pub rustc_version: String,
    /// Its views.
    #[prost(message, repeated, tag = "3")]
    pub view_functions: Vec<ViewFunction>,
    /// Its name; empty if it does not say.
    #[prost(string, tag = "4")]
    pub name: String,
    /// Its version; empty if it does not say.
    #[prost(string, tag = "5")]
    pub version: String,
    /// What lies under which keys; empty if it does not say.
    #[prost(message, repeated, tag = "6")]
    pub storage: Vec<Storage>,
    /// What it is for, in the author's words.
    #[prost(string, tag = "7")]
    pub doc: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct EarlierView {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        input_type: String,
        #[prost(string, tag = "3")]
        output_type: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Earlier {
        #[prost(string, tag = "1")]
        compiler_version: String,
        #[prost(message, repeated, tag = "3")]
        view_functions: Vec<EarlierView>,
    }

    fn metadata() -> IndexerMetadata {
        IndexerMetadata {
            compiler_version: "compiler".to_owned(),
            view_functions: vec![ViewFunction {
                name: "balance".to_owned(),
                input_type: "Owner".to_owned(),
                output_type: "u64".to_owned(),
                doc: "What an owner has.".to_owned(),
                input_schema: r#"{"type":"string"}"#.to_owned(),
                output_schema: r#"{"type":"integer"}"#.to_owned(),
            }],
            storage: vec![Storage {
                name: "balances".to_owned(),
                prefix: vec![0, 255],
                kind: "map".to_owned(),
                key: vec![KeyPart {
                    name: "owner".to_owned(),
                    ty: "bytes".to_owned(),
                }],
                value: "u64".to_owned(),
                doc: String::new(),
            }],
            ..IndexerMetadata::default()
        }
    }

    #[test]
    fn earlier_hosts_read_later_guests_and_the_other_way_round() {
        let later = metadata();
        let earlier = Earlier::decode(&*later.encode_to_vec()).unwrap();
        assert_eq!(earlier.view_functions[0].output_type, "u64");
        let read = IndexerMetadata::decode(&*earlier.encode_to_vec()).unwrap();
        assert_eq!(read.compiler_version, "compiler");
        assert_eq!(read.view_functions[0].name, "balance");
        assert_eq!(read.view_functions[0].doc, "");
        assert!(read.storage.is_empty());
    }

    #[test]
    fn a_description_takes_72_times_its_length_at_most() {
        assert!(size_of::<ViewFunction>() <= 2 * 72);
        assert!(size_of::<Storage>() <= 2 * 72);
        assert!(size_of::<KeyPart>() <= 2 * 72);
    }
}

//! Inscriptions made to order.

use crate::Lock;
use crate::lock::push;
use metashrew_support::raw::InscriptionId;
use metashrew_support::raw::inscription::tag;
use metashrew_support::raw::script::op;

/// Bytes that a push in a tapscript may have at most.
const MAX_PUSH: usize = 520;

/// An inscription: its fields and its body.
///
/// ```
/// use metashrew_test::Inscription;
///
/// let hello = Inscription::text("hello").pointer(546);
/// assert!(hello.envelope().windows(5).any(|part| part == b"hello"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inscription {
    /// Tags and values, in order.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
}

impl Inscription {
    /// An inscription of a MIME type.
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let inscription = Self {
            body: Some(body.into()),
            ..Self::default()
        };
        inscription.field(tag::CONTENT_TYPE, content_type)
    }

    /// An inscription of plain text.
    pub fn text(text: &str) -> Self {
        Self::new("text/plain;charset=utf-8", text)
    }

    /// An inscription of JSON (a BRC-20 operation, say).
    pub fn json(json: &str) -> Self {
        Self::new("application/json", json)
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, tag: u8, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((vec![tag], value.into()));
        self
    }

    /// Says which satoshi of the outputs is inscribed.
    #[must_use]
    pub fn pointer(self, satoshi: u64) -> Self {
        let value = satoshi.to_le_bytes();
        let zeros = value.iter().rev().take_while(|byte| **byte == 0).count();
        let value: Vec<u8> = value.into_iter().take(8 - zeros).collect();
        self.field(tag::POINTER, value)
    }

    /// Names a parent.
    #[must_use]
    pub fn parent(self, parent: InscriptionId) -> Self {
        self.field(tag::PARENT, parent.to_value())
    }

    /// Adds metadata, in as many pieces as it takes.
    #[must_use]
    pub fn metadata(self, cbor: &[u8]) -> Self {
        let pieces = cbor.chunks(MAX_PUSH);
        pieces.fold(self, |inscription, piece| {
            inscription.field(tag::METADATA, piece)
        })
    }

    /// Its envelope: `OP_FALSE OP_IF "ord" … OP_ENDIF`.
    pub fn envelope(&self) -> Vec<u8> {
        let mut script = vec![op::FALSE, op::IF];
        script.extend(push(b"ord"));
        for (tag, value) in &self.fields {
            script.extend(push(tag));
            script.extend(push(value));
        }
        if let Some(body) = &self.body {
            script.extend(push(&[]));
            script.extend(body.chunks(MAX_PUSH).flat_map(push));
        }
        script.push(op::ENDIF);
        script
    }

    /// What the commit transaction pays to, and the reveal transaction spends: a
    /// Taproot output whose script checks a signature and holds the envelopes.
    pub fn lock(inscriptions: &[Self]) -> Lock {
        // A push of the key, as in the script of `p2tr` after `OP_1`.
        let key = Lock::p2tr("inscriber");
        let mut script: Vec<u8> = key.script().iter().copied().skip(1).collect();
        script.push(op::CHECKSIG);
        script.extend(inscriptions.iter().flat_map(Self::envelope));
        Lock::tapscript(script)
    }
}

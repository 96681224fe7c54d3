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
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// let image = Inscription::new("image/png", [7; 3]);
    /// assert_eq!(image.fields, [(vec![1], b"image/png".to_vec())]);
    /// ```
    pub fn new(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let inscription = Self {
            body: Some(body.into()),
            ..Self::default()
        };
        inscription.field(tag::CONTENT_TYPE, content_type)
    }

    /// An inscription of plain text.
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// assert_eq!(Inscription::text("hello").body, Some(b"hello".to_vec()));
    /// ```
    pub fn text(text: &str) -> Self {
        Self::new("text/plain;charset=utf-8", text)
    }

    /// An inscription of JSON (a BRC-20 operation, say).
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// let mint = Inscription::json(r#"{"p":"brc-20","op":"mint","tick":"ordi","amt":"1"}"#);
    /// assert_eq!(mint.fields[0].1, b"application/json");
    /// ```
    pub fn json(json: &str) -> Self {
        Self::new("application/json", json)
    }

    /// Adds a field.
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// use metashrew_support::raw::inscription::tag;
    ///
    /// let named = Inscription::text("hello").field(tag::METAPROTOCOL, "demo");
    /// assert_eq!(named.fields[1], (vec![tag::METAPROTOCOL], b"demo".to_vec()));
    /// ```
    #[must_use]
    pub fn field(mut self, tag: u8, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((vec![tag], value.into()));
        self
    }

    /// Says which satoshi of the outputs is inscribed.
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// let second = Inscription::text("hello").pointer(546);
    /// assert_eq!(second.fields[1], (vec![2], vec![0x22, 2]));
    /// ```
    #[must_use]
    pub fn pointer(self, satoshi: u64) -> Self {
        let value = satoshi.to_le_bytes();
        let zeros = value.iter().rev().take_while(|byte| **byte == 0).count();
        let value: Vec<u8> = value.into_iter().take(8 - zeros).collect();
        self.field(tag::POINTER, value)
    }

    /// Names a parent.
    ///
    /// ```
    /// # use metashrew_test::{Chain, Inscription, Lock};
    /// let mut chain = Chain::new();
    /// chain.mine();
    /// let parent = chain.inscribe(Lock::p2tr("alice"), Inscription::text("parent"));
    /// let child = Inscription::text("child").parent(parent);
    /// assert_eq!(child.fields[1].1, parent.to_value());
    /// ```
    #[must_use]
    pub fn parent(self, parent: InscriptionId) -> Self {
        self.field(tag::PARENT, parent.to_value())
    }

    /// Adds metadata, in as many pieces as it takes.
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// let long = Inscription::text("hello").metadata(&[7; 521]);
    /// assert_eq!(long.fields.len(), 3); // Its type, and two pieces.
    /// ```
    #[must_use]
    pub fn metadata(self, cbor: &[u8]) -> Self {
        let pieces = cbor.chunks(MAX_PUSH);
        pieces.fold(self, |inscription, piece| {
            inscription.field(tag::METADATA, piece)
        })
    }

    /// Its envelope: `OP_FALSE OP_IF "ord" … OP_ENDIF`.
    ///
    /// ```
    /// # use metashrew_test::Inscription;
    /// assert!(Inscription::text("hello").envelope().ends_with(b"\x05hello\x68"));
    /// ```
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
    ///
    /// ```
    /// use metashrew_test::{Inscription, Tx, OutPoint};
    ///
    /// let inscriptions = [Inscription::text("a"), Inscription::text("b")];
    /// let commit = Tx::new().pay(Inscription::lock(&inscriptions), 546);
    /// let reveal = Tx::new().reveal(commit.output(0), &inscriptions);
    /// assert_eq!(reveal.inputs[0].witness.len(), 3);
    /// ```
    pub fn lock(inscriptions: &[Self]) -> Lock {
        // A push of the key, as in the script of `p2tr` after `OP_1`.
        let key = Lock::p2tr("inscriber");
        let mut script: Vec<u8> = key.script().iter().copied().skip(1).collect();
        script.push(op::CHECKSIG);
        script.extend(inscriptions.iter().flat_map(Self::envelope));
        Lock::tapscript(script)
    }
}

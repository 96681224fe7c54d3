//! Scripts, instruction by instruction, and the standard forms of locking scripts.
//!
//! ```
//! use metashrew_support::raw::script::{Instruction, ScriptKind, instructions, op};
//!
//! let script = [op::RETURN, 2, b'h', b'i'];
//! let read: Result<Vec<_>, _> = instructions(&script).collect();
//! assert_eq!(read?, [Instruction::Op(op::RETURN), Instruction::Push(b"hi")]);
//! assert_eq!(ScriptKind::of(&script), ScriptKind::OpReturn { data: &[2, b'h', b'i'] });
//! # Ok::<(), metashrew_support::raw::script::ScriptError>(())
//! ```

mod kind;

pub use kind::{MultisigKeys, ScriptKind};

/// The opcodes that parsers of outputs and inscriptions look for.
pub mod op {
    #![allow(
        missing_docs,
        reason = "they are named as in Bitcoin Core, less the `OP_`"
    )]
    pub const FALSE: u8 = 0x00;
    pub const PUSHDATA1: u8 = 0x4c;
    pub const PUSHDATA2: u8 = 0x4d;
    pub const PUSHDATA4: u8 = 0x4e;
    pub const PUSHNUM_NEG1: u8 = 0x4f;
    pub const PUSHNUM_1: u8 = 0x51;
    pub const PUSHNUM_13: u8 = 0x5d;
    pub const PUSHNUM_16: u8 = 0x60;
    pub const IF: u8 = 0x63;
    pub const ENDIF: u8 = 0x68;
    pub const RETURN: u8 = 0x6a;
    pub const DUP: u8 = 0x76;
    pub const EQUAL: u8 = 0x87;
    pub const EQUALVERIFY: u8 = 0x88;
    pub const HASH160: u8 = 0xa9;
    pub const CHECKSIG: u8 = 0xac;
    pub const CHECKMULTISIG: u8 = 0xae;
}

/// An instruction of a script.
///
/// ```
/// use metashrew_support::raw::script::{Instruction, instructions, op};
///
/// let mut read = instructions(&[1, b'a', op::EQUAL]);
/// assert_eq!(read.next(), Some(Ok(Instruction::Push(b"a"))));
/// assert_eq!(read.next(), Some(Ok(Instruction::Op(op::EQUAL))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction<'a> {
    /// Bytes are pushed, by whichever of the opcodes that hold bytes. `OP_FALSE`
    /// pushes none.
    Push(&'a [u8]),
    /// Any other opcode, `OP_1` to `OP_16` among them.
    Op(u8),
}

impl Instruction<'_> {
    /// The number that `OP_1` to `OP_16` push.
    ///
    /// ```
    /// use metashrew_support::raw::script::{Instruction, op};
    ///
    /// assert_eq!(Instruction::Op(op::PUSHNUM_16).small_number(), Some(16));
    /// assert_eq!(Instruction::Op(op::DUP).small_number(), None);
    /// ```
    pub fn small_number(&self) -> Option<u8> {
        match *self {
            Self::Op(op @ op::PUSHNUM_1..=op::PUSHNUM_16) => Some(op - op::PUSHNUM_1 + 1),
            _ => None,
        }
    }
}

/// A script ends inside a push.
///
/// ```
/// use metashrew_support::raw::script::{ScriptError, instructions};
///
/// let cut = [5, b'a'];
/// assert_eq!(instructions(&cut).next(), Some(Err(ScriptError { left: 1 })));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the script ends inside a push, {left} bytes after its opcode")]
pub struct ScriptError {
    /// Bytes after the opcode of the push that is cut.
    pub left: usize,
}

/// The instructions of a script, in order. An error is the last item.
///
/// ```
/// use metashrew_support::raw::script::{instructions, op};
///
/// let script = [1, b'a', op::DUP, op::EQUAL];
/// assert_eq!(instructions(&script).count(), 3);
/// ```
pub fn instructions(script: &[u8]) -> Instructions<'_> {
    Instructions { rest: script }
}

/// What a script pushes, in order; `None` where it is cut or does anything else,
/// which is the last item.
///
/// ```
/// use metashrew_support::raw::script::pushes;
///
/// let data: Option<Vec<u8>> = pushes(&[1, b'a', 2, b'b', b'c'])
///     .try_fold(Vec::new(), |data, push| Some([&data, push?].concat()));
/// assert_eq!(data, Some(b"abc".to_vec()));
/// ```
pub fn pushes(script: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut ended = false;
    instructions(script).map_while(move |instruction| {
        if ended {
            return None;
        }
        let push = match instruction {
            Ok(Instruction::Push(bytes)) => Some(bytes),
            Ok(Instruction::Op(_)) | Err(_) => None,
        };
        ended = push.is_none();
        Some(push)
    })
}

/// See [`instructions`].
///
/// ```
/// use metashrew_support::raw::script::instructions;
///
/// let mut instructions = instructions(&[1, b'a']);
/// assert!(instructions.next().is_some());
/// assert!(instructions.next().is_none());
/// ```
#[derive(Debug, Clone)]
pub struct Instructions<'a> {
    rest: &'a [u8],
}

impl<'a> Instructions<'a> {
    /// The part of the script that was not read yet.
    ///
    /// ```
    /// use metashrew_support::raw::script::{instructions, op};
    ///
    /// let mut instructions = instructions(&[1, b'a', op::DUP]);
    /// instructions.next();
    /// assert_eq!(instructions.rest(), [op::DUP]);
    /// ```
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// A push of as many bytes as `N` bytes of length say.
    fn sized<const N: usize>(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        let mut wide = [0; 4];
        for (wide, byte) in wide.iter_mut().zip(length) {
            *wide = *byte;
        }
        self.take(usize::try_from(u32::from_le_bytes(wide)).ok()?)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Instructions<'a> {
    type Item = Result<Instruction<'a>, ScriptError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (op, rest) = self.rest.split_first()?;
        self.rest = rest;
        let push = match *op {
            count @ ..op::PUSHDATA1 => self.take(count.into()),
            op::PUSHDATA1 => self.sized::<1>(),
            op::PUSHDATA2 => self.sized::<2>(),
            op::PUSHDATA4 => self.sized::<4>(),
            op => return Some(Ok(Instruction::Op(op))),
        };
        if push.is_none() {
            self.rest = &[];
        }
        let error = ScriptError { left: rest.len() };
        Some(push.map(Instruction::Push).ok_or(error))
    }
}

impl std::iter::FusedIterator for Instructions<'_> {}

#[cfg(test)]
pub(super) mod tests;

//! From the offsets of the module that is compiled to those of the guest's own bytes.

/// Pieces of the compiled module, in order. Without any, it is the guest's own.
#[derive(Debug, Default)]
pub(crate) struct Offsets(Vec<Piece>);

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Where it begins in the compiled module.
    start: usize,
    /// Where it begins in the guest's bytes; for a piece that was added, what it stands before.
    original: usize,
    is_added: bool,
}

impl Offsets {
    pub(super) fn push(&mut self, start: usize, original: usize, is_added: bool) {
        let continues = self.0.last().is_some_and(|last| {
            !last.is_added
                && !is_added
                && start - last.start == original.wrapping_sub(last.original)
        });
        if !continues {
            self.0.push(Piece {
                start,
                original,
                is_added,
            });
        }
    }

    /// The same pieces, `by` further on in the compiled module, after those that are there.
    pub(super) fn append(&mut self, other: &Self, by: usize) {
        for piece in &other.0 {
            self.push(piece.start + by, piece.original, piece.is_added);
        }
    }

    /// Where `offset` of the compiled module is in the guest's bytes.
    pub(crate) fn original(&self, offset: usize) -> usize {
        match self.piece(offset) {
            Some(piece) if piece.is_added => piece.original,
            Some(piece) => offset - piece.start + piece.original,
            None => offset,
        }
    }

    /// Whether what is at `offset` of the compiled module counts the stack.
    pub(crate) fn counts_stack(&self, offset: usize) -> bool {
        self.piece(offset).is_some_and(|piece| piece.is_added)
    }

    fn piece(&self, offset: usize) -> Option<Piece> {
        let after = self.0.partition_point(|piece| piece.start <= offset);
        self.0.get(after.checked_sub(1)?).copied()
    }
}

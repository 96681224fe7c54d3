//! What a view gives back where it runs to its end.

use bytes::Bytes;

/// What a view gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Its answer.
    Answer(Bytes),
    /// The text of its error. As far as the guest's memory goes, that is an answer as well.
    Error(String),
}

impl Reply {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Answer(bytes) => bytes.len(),
            Self::Error(message) => message.len(),
        }
    }

    /// The answer, or the error's text.
    pub(crate) fn into_answer(self) -> Result<Bytes, String> {
        match self {
            Self::Answer(bytes) => Ok(bytes),
            Self::Error(message) => Err(message),
        }
    }
}

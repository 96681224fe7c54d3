//! Scripts of reads and writes: what they are, how a guest runs one, what it has to answer.

pub(crate) mod any;
pub(crate) mod model;
pub(crate) mod ops;
pub(crate) mod run;

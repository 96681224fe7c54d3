//! The proportions of generated blocks, as counted by [`crate::census`] over the
//! mainnet blocks 772,904 (874 transactions, 2,459,055 WU) and 840,243 (4,851
//! transactions, 3,993,744 WU) taken together: 5,723 transactions besides the
//! coinbases, 11,085 inputs, 20,906 outputs, 6,452,799 WU.
//!
//! The arrays by kind are in the order of [`crate::census::Kind::ALL`] and are
//! weights: they are the very counts.

/// Inputs by the kind of output they spend.
pub const SPENT: [u64; 7] = [489, 3523, 2839, 91, 4143, 0, 0];

/// Outputs by kind.
pub const CREATED: [u64; 7] = [2017, 2710, 4872, 214, 7094, 3999, 0];

/// Transactions with one input, two, and more.
pub const INPUTS_EACH: [u64; 3] = [4994, 353, 376];

/// Mean number of inputs of the transactions with more than two. Measured: 14.3;
/// stretched so that 3,000 transactions fill a block, where in these proportions
/// it would take 3,550.
pub const MANY_INPUTS: u64 = 20;

/// Transactions with one output, two, and more.
pub const OUTPUTS_EACH: [u64; 3] = [503, 3003, 2217];

/// Mean number of outputs of the transactions with more than two. Measured: 6.5;
/// stretched like [`MANY_INPUTS`].
pub const MANY_OUTPUTS: u64 = 8;

/// Inputs, of a thousand, that spend an output of their own block (3,252 of 11,085).
pub const SAME_BLOCK: u64 = 293;

/// Outputs, of a thousand, that pay to a script that another output of the same
/// block pays to as well (10,163 scripts for 16,907 spendable outputs).
pub const SAME_SCRIPT: u64 = 400;

/// Spends of Taproot outputs, of a thousand, by a script (59 of 4,143).
pub const TAPSCRIPTS: u64 = 14;

/// Script spends of Taproot, of a thousand, that reveal an inscription (50 of 59).
pub const INSCRIPTIONS: u64 = 850;

/// Inscriptions, of a thousand, that are files, not lines of text. The 50 have
/// 55,368 bytes; the longest alone has 36,058.
pub const LONG_INSCRIPTIONS: u64 = 50;

/// Bytes of the longest inscription found.
pub const LONGEST_INSCRIPTION: u64 = 36_058;

/// Bytes of the text of a short inscription (a BRC-20 transfer and the like): from, to.
pub const SHORT_INSCRIPTION: (u64, u64) = (60, 220);

/// Bytes of data in an `OP_RETURN` output: from, to (scripts measured: 11.2 bytes on average).
pub const OP_RETURN_DATA: (u64, u64) = (3, 16);

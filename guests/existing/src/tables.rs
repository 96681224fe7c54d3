//! Where the state is kept. Statics that are made once, as in the guests of the wild.

use metashrew_core::index_pointer::IndexPointer;
use metashrew_support::index_pointer::KeyValuePointer;
use std::sync::LazyLock;

macro_rules! tables {
    ($($name:ident: $key:literal),* $(,)?) => {
        $(pub static $name: LazyLock<IndexPointer> =
            LazyLock::new(|| IndexPointer::from_keyword($key));)*
    };
}

tables! {
    HEIGHT_TO_BLOCKHASH: "/blockhash/byheight/",
    BLOCKHASH_TO_HEIGHT: "/height/byblockhash/",
    HEIGHT_TO_TXIDS: "/txids/byheight",
    OUTPOINT_TO_SCRIPT: "/script/byoutpoint/",
    OUTPOINT_TO_VALUE: "/value/byoutpoint/",
    OUTPOINT_TO_POSITION: "/position/byoutpoint/",
    OUTPOINTS_OF_SCRIPT: "/outpoints/byscript/",
    BALANCE_OF_SCRIPT: "/balance/byscript/",
    SCRIPT_SEEN: "/seen/byscript/",
    MARK_OF_TXID: "/mark/bytxid/",
    SIZES: "/sizes",
    SUMMARIES: "/summary/byheight/",
}

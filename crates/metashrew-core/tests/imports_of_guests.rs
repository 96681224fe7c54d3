//! The paths that public guests of the SDK of stateful views import, as they write them.
//! One that is missing breaks those guests: this file then does not compile.

/// As brc20shrew-rs does.
mod brc20shrew {
    use metashrew_core::index_pointer::{IndexPointer, KeyValuePointer};
    use metashrew_core::metashrew_println::println;
    use metashrew_core::utils::{consensus_decode, consume_sized_int};
    use std::io::Cursor;

    #[test]
    fn block_versions_are_read() {
        let mut cursor = Cursor::new(vec![7, 0, 0, 0, 1, 0, 0, 0]);
        let height: u32 = consume_sized_int(&mut cursor).unwrap();
        let version: bitcoin::block::Version = consensus_decode(&mut cursor).unwrap();
        println!("{height}: {version:?}");
        let mut table = IndexPointer::from_keyword("/version/").select_value(height);
        table.set_value(1u32);
        assert_eq!(table.get_value::<u32>(), 1);
    }
}

/// As metashrew-minimal does, with and without its benchmarks.
mod minimal {
    use metashrew_core::{
        flush, get_cache, get_cache_mode, index_pointer::IndexPointer, initialize, input,
        lru_cache_stats, print, set_cache_mode, stdio::stdout,
    };
    use metashrew_support::{
        ByteView, CacheAllocationMode, CacheStats, KeyValuePointer, compat::export_bytes,
        utils::consensus_decode,
    };

    #[test]
    fn its_names_are_there() {
        use std::fmt::Write;
        initialize();
        metashrew_core::imports::__set_input(7u32.to_bytes());
        assert_eq!(input(), [7, 0, 0, 0]);
        set_cache_mode(CacheAllocationMode::View);
        assert_eq!(get_cache_mode(), CacheAllocationMode::View);
        let _: CacheStats = lru_cache_stats();
        IndexPointer::from_keyword("/a").set_value(1u8);
        assert_eq!(get_cache().len(), 1);
        flush();
        print!("a line");
        write!(stdout(), "another").unwrap();
        let mut cursor = std::io::Cursor::new(vec![5]);
        assert_eq!(consensus_decode::<u8>(&mut cursor).unwrap(), 5);
        assert_ne!(export_bytes(vec![1]), 0);
    }
}

/// The later branches have these at the crate's root, and in modules of its own.
mod later {
    use metashrew_core::byte_view::{ByteView, shrink_back};
    use metashrew_core::lru_cache::{CacheAllocationMode, KeyPrefixStats, LruDebugStats};
    use metashrew_core::metashrew_println::{Stdout, print, stdout};
    use metashrew_core::wasm::log;
    use metashrew_core::{memory, metashrew_println, wasm};
    use std::sync::Arc;

    #[test]
    fn their_names_are_there() {
        let _: [fn(&mut Vec<u8>) -> i32; 6] = [
            metashrew_core::to_ptr,
            metashrew_core::to_passback_ptr,
            wasm::to_ptr,
            wasm::to_passback_ptr,
            memory::to_ptr,
            metashrew_println::wasm::to_passback_ptr,
        ];
        let _: [fn(Vec<u8>) -> Vec<u8>; 3] = [
            metashrew_core::to_arraybuffer_layout,
            wasm::to_arraybuffer_layout,
            memory::to_arraybuffer_layout,
        ];
        let _: [fn(&[u8]) -> String; 2] = [
            metashrew_core::parse_cache_key,
            metashrew_core::parse_cache_key_enhanced,
        ];
        let _: fn() -> Stdout = stdout;
        let _: fn(Arc<Vec<u8>>) = log;
        let _: (Option<KeyPrefixStats>, LruDebugStats) = (None, LruDebugStats::default());
        assert_eq!(
            metashrew_core::CacheAllocationMode::View,
            CacheAllocationMode::View
        );
        print!("{}", u8::zero());
        assert_eq!(shrink_back(vec![1, 2], 1), [2]);
        let pointer = memory::copy_to_wasm(b"data");
        assert_eq!(metashrew_core::utils::ptr_to_vec(pointer), b"data");
    }
}

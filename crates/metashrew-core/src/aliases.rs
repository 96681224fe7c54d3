//! Modules that are in other places here, under the paths that guests in the wild use.

/// Buffers as pointers, and the host's log.
pub mod wasm {
    pub use crate::stdio::log;
    pub use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr, to_ptr};
}

/// Buffers as pointers.
pub mod memory {
    pub use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr, to_ptr};

    /// Leaks a buffer that holds `v`, its length in front: the pointer to its data.
    pub fn copy_to_wasm<T: AsRef<[u8]>>(v: T) -> i32 {
        let buffer = Box::leak(Box::new(to_arraybuffer_layout(v)));
        to_passback_ptr(buffer)
    }
}

/// The host's log.
pub mod metashrew_println {
    pub use super::wasm;
    pub use crate::stdio::{Stdout, stdout};
    pub use crate::{print, println};
}

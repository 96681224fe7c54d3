//! The functions a guest imports from its host, as the host names them.
//!
//! Pointers name the data of buffers in `ArrayBuffer` layout
//! (`metashrew_support::compat`). Natively, and in wasm with the feature
//! `test-utils`, they are those of a host in this thread's memory
//! ([`test_utils`](crate::test_utils)).
#![allow(unsafe_code, reason = "the host reads and writes the guest's memory")]

#[cfg(all(target_arch = "wasm32", not(feature = "test-utils")))]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Bytes of the input: four of height, and the payload.
    pub fn __host_len() -> i32;
    /// Hands over a `KeyValueFlush`. The caches do not hear of it, as they do of
    /// [`host::flush`](crate::host::flush).
    pub fn __flush(ptr: i32);
    /// Writes the value of the key at `ptr` to `v`.
    pub fn __get(ptr: i32, v: i32);
    /// Bytes of the value of the key at `ptr`, 0 if it has none.
    pub fn __get_len(ptr: i32) -> i32;
    /// Writes the input at `ptr`.
    pub fn __load_input(ptr: i32);
    /// Logs UTF-8 text.
    pub fn __log(ptr: i32);
    /// Ends the call with a message; the strings are UTF-16.
    pub fn abort(message: i32, file: i32, line: i32, column: i32);
}

// A module of its own, so that a guest which uses none of it has no import of it.
#[cfg(all(target_arch = "wasm32", not(feature = "test-utils")))]
#[link(wasm_import_module = "metashrew")]
unsafe extern "C" {
    /// Writes the answer that the host keeps at `ptr`, and has it dropped.
    #[link_name = "load_answer"]
    pub fn __load_answer(ptr: i32);
    /// Has the host keep the values of the keys at `ptr`: the bytes of that answer, or a
    /// negative code.
    #[link_name = "read_many"]
    pub fn __read_many(ptr: i32) -> i32;
    /// Has the host keep what the request at `ptr` asks for: the bytes of that answer.
    #[link_name = "read_range"]
    pub fn __read_range(ptr: i32) -> i32;
}

#[cfg(any(feature = "test-utils", not(target_arch = "wasm32")))]
pub use stubs::{
    __flush, __get, __get_len, __host_len, __load_answer, __load_input, __log, __now, __read_many,
    __read_range, __set_input, abort,
};

/// The same functions, over the host in this thread's memory.
///
/// They are safe to call because tests of guests in the wild call them so. A pointer
/// names one of the buffers that were last made into one on this thread, else they
/// panic; that the buffer still lives is the caller's promise nevertheless.
#[cfg(any(feature = "test-utils", not(target_arch = "wasm32")))]
mod stubs {
    use crate::buffers::{read_buffer, write_buffer};
    use crate::test_utils::host;

    /// Sets what the next `__load_input` writes: height and payload.
    ///
    /// ```
    /// # use metashrew_core::{host, imports};
    /// imports::__set_input(b"\x07\0\0\0block".to_vec());
    /// assert_eq!(host::load_input(), b"\x07\0\0\0block");
    /// ```
    #[allow(clippy::used_underscore_items, reason = "the name is fixed")]
    pub fn __set_input(v: Vec<u8>) {
        host::with(|host| host.set_input(v));
    }

    /// Milliseconds since 1970; 0 in wasm, which has no clock of its own.
    ///
    /// ```
    /// # use metashrew_core::imports;
    /// assert!(imports::__now() > 1_700_000_000_000); // November 2023
    /// ```
    pub fn __now() -> u64 {
        if cfg!(target_arch = "wasm32") {
            return 0;
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    }

    /// Bytes of the input: four of height, and the payload.
    ///
    /// ```
    /// # use metashrew_core::imports;
    /// imports::__set_input(b"\x07\0\0\0block".to_vec());
    /// assert_eq!(imports::__host_len(), 9);
    /// ```
    pub fn __host_len() -> i32 {
        length(host::with(|host| host.input().len()))
    }

    /// Writes the input at `ptr`.
    ///
    /// ```
    /// # use metashrew_core::imports;
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// imports::__set_input(b"\x07\0\0\0block".to_vec());
    /// let mut buffer = to_arraybuffer_layout([0; 9]);
    /// imports::__load_input(to_passback_ptr(&mut buffer));
    /// assert_eq!(buffer[4..], *b"\x07\0\0\0block");
    /// ```
    pub fn __load_input(ptr: i32) {
        let input = host::with(|host| host.input().to_vec());
        // SAFETY: see above.
        let written = unsafe { write_buffer(ptr, &input) };
        assert!(
            written,
            "__load_input: no buffer for {} bytes at {ptr:#x}",
            input.len()
        );
    }

    /// Bytes of the value of the key at `ptr`, 0 if it has none.
    ///
    /// ```
    /// # use metashrew_core::{host, imports};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// host::flush([("name", "ann")]);
    /// let mut key = to_arraybuffer_layout("name");
    /// assert_eq!(imports::__get_len(to_passback_ptr(&mut key)), 3);
    /// ```
    pub fn __get_len(ptr: i32) -> i32 {
        // SAFETY: see above.
        let key = unsafe { buffer("__get_len", ptr) };
        length(host::with(|host| host.get(&key).len()))
    }

    /// Writes the value of the key at `ptr` to `v`.
    ///
    /// ```
    /// # use metashrew_core::{host, imports};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// host::flush([("name", "ann")]);
    /// let mut key = to_arraybuffer_layout("name");
    /// let mut value = to_arraybuffer_layout([0; 3]);
    /// imports::__get(to_passback_ptr(&mut key), to_passback_ptr(&mut value));
    /// assert_eq!(value[4..], *b"ann");
    /// ```
    pub fn __get(ptr: i32, v: i32) {
        // SAFETY: see above.
        let key = unsafe { buffer("__get", ptr) };
        let value = host::with(|host| host.get(&key).to_vec());
        // SAFETY: see above.
        let written = unsafe { write_buffer(v, &value) };
        assert!(
            written,
            "__get: no buffer for {} bytes at {v:#x}",
            value.len()
        );
    }

    /// Has the host keep the values of the keys at `ptr`: the bytes of that answer, or a
    /// negative code.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// # use metashrew_core::{host, imports};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// host::flush([("name", "ann")]);
    /// let mut keys = to_arraybuffer_layout(many::encode([&b"name"[..]]));
    /// // SAFETY: the buffer lives.
    /// let length = unsafe { imports::__read_many(to_passback_ptr(&mut keys)) };
    /// assert_eq!(length, 4 + 3); // The value with its length in front.
    /// ```
    ///
    /// # Safety
    /// `ptr` names a living buffer.
    pub unsafe extern "C-unwind" fn __read_many(ptr: i32) -> i32 {
        // SAFETY: the caller's promise.
        let request = unsafe { buffer("read_many", ptr) };
        host::with(|host| host.read_many(&request))
    }

    /// Has the host keep what the request at `ptr` asks for: the bytes of that answer.
    ///
    /// ```
    /// # use metashrew_abi::range::Request;
    /// # use metashrew_core::{host, imports};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// host::flush([("name", "ann")]);
    /// let mut request = to_arraybuffer_layout(Request::between(b"a", b"z").encode());
    /// // SAFETY: the buffer lives.
    /// let length = unsafe { imports::__read_range(to_passback_ptr(&mut request)) };
    /// assert_eq!(length, 1 + (4 + 4) + (4 + 3)); // The end, a key, its value.
    /// ```
    ///
    /// # Safety
    /// `ptr` names a living buffer.
    pub unsafe extern "C-unwind" fn __read_range(ptr: i32) -> i32 {
        // SAFETY: the caller's promise.
        let request = unsafe { buffer("read_range", ptr) };
        host::with(|host| host.read_range(&request))
    }

    /// Writes the answer that the host keeps at `ptr`, and has it dropped.
    ///
    /// ```
    /// # use metashrew_abi::many;
    /// # use metashrew_core::{host, imports};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// host::flush([("name", "ann")]);
    /// let mut keys = to_arraybuffer_layout(many::encode([&b"name"[..]]));
    /// let mut answer = to_arraybuffer_layout([0; 7]);
    /// // SAFETY: both buffers live; the answer's has the seven bytes that it takes.
    /// unsafe {
    ///     assert_eq!(imports::__read_many(to_passback_ptr(&mut keys)), 7);
    ///     imports::__load_answer(to_passback_ptr(&mut answer));
    /// }
    /// assert_eq!(answer[4..], *b"\x03\0\0\0ann");
    /// ```
    ///
    /// # Safety
    /// `ptr` names a living buffer of that size, which nothing borrows.
    pub unsafe extern "C-unwind" fn __load_answer(ptr: i32) {
        let answer = host::with(host::Host::take_answer);
        // SAFETY: the caller's promise.
        let written = unsafe { write_buffer(ptr, &answer) };
        assert!(
            written,
            "load_answer: no buffer for {} bytes at {ptr:#x}",
            answer.len()
        );
    }

    /// Hands over a `KeyValueFlush`.
    ///
    /// ```
    /// # use metashrew_abi::flush;
    /// # use metashrew_core::{host, imports};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// let mut message = to_arraybuffer_layout(flush::encode([(&b"name"[..], &b"ann"[..])]));
    /// imports::__flush(to_passback_ptr(&mut message));
    /// assert_eq!(host::read(b"name"), b"ann");
    /// ```
    pub fn __flush(ptr: i32) {
        // SAFETY: see above.
        let message = unsafe { buffer("__flush", ptr) };
        host::with(|host| host.flush(&message));
    }

    /// Logs UTF-8 text.
    ///
    /// ```
    /// # use metashrew_core::{imports, test_utils};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// let mut text = to_arraybuffer_layout("indexed");
    /// imports::__log(to_passback_ptr(&mut text));
    /// assert_eq!(test_utils::take_log(), ["indexed"]);
    /// ```
    pub fn __log(ptr: i32) {
        // SAFETY: see above.
        let text = unsafe { buffer("__log", ptr) };
        host::with(|host| host.log(&text));
    }

    /// Logs the message and panics, as the host ends the call; a panic that is
    /// under way already goes on.
    ///
    /// ```
    /// # use metashrew_core::{imports, test_utils};
    /// # use metashrew_support::compat::{to_arraybuffer_layout, to_passback_ptr};
    /// let mut message = to_arraybuffer_layout(b"n\0o\0"); // UTF-16
    /// let message = to_passback_ptr(&mut message);
    /// // SAFETY: the buffer lives, and no file is named.
    /// let ended = std::panic::catch_unwind(|| unsafe { imports::abort(message, 0, 7, 1) });
    /// assert!(ended.is_err());
    /// assert_eq!(test_utils::take_log(), ["abort: no at :7:1"]);
    /// ```
    ///
    /// # Safety
    /// `message` and `file` name living buffers, or are 0.
    pub unsafe extern "C-unwind" fn abort(message: i32, file: i32, line: i32, column: i32) {
        let [message, file] = [message, file].map(|text| match text {
            0 => Vec::new(),
            // SAFETY: the caller's promise.
            text => unsafe { buffer("abort", text) },
        });
        let (message, file) = (utf16(&message), utf16(&file));
        let text = format!("abort: {message} at {file}:{line}:{column}");
        host::with(|host| host.log(text.as_bytes()));
        assert!(std::thread::panicking(), "{text}");
    }

    /// # Safety
    /// `ptr` names a living buffer.
    unsafe fn buffer(function: &str, ptr: i32) -> Vec<u8> {
        // SAFETY: the caller's promise.
        let data = unsafe { read_buffer(ptr) };
        data.unwrap_or_else(|| panic!("{function}: no buffer at {ptr:#x}"))
    }

    fn length(bytes: usize) -> i32 {
        i32::try_from(bytes).expect("a guest's buffer is below 2 GiB")
    }

    fn utf16(bytes: &[u8]) -> String {
        let units = bytes
            .chunks_exact(2)
            .filter_map(|unit| unit.first_chunk())
            .map(|unit| u16::from_le_bytes(*unit));
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    }
}

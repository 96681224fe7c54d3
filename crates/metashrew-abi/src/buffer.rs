//! AssemblyScript's `ArrayBuffer` layout, in which every buffer crosses the
//! boundary: a pointer names the first data byte, and the four bytes before it
//! hold the length (u32, little-endian).

/// Bytes the length takes in front of the data.
///
/// ```
/// # use metashrew_abi::buffer;
/// assert_eq!(buffer::encode(b"").len(), buffer::LENGTH_BYTES);
/// ```
pub const LENGTH_BYTES: usize = 4;

/// Bytes the height takes in front of an input's payload.
///
/// ```
/// # use metashrew_abi::buffer::HEIGHT_BYTES;
/// assert_eq!(7u32.to_le_bytes().len(), HEIGHT_BYTES);
/// ```
pub const HEIGHT_BYTES: usize = 4;

/// The data of the buffer at `pointer` in `memory`; `None` if the pointer or the
/// length in front of it reaches outside.
///
/// ```
/// let memory = [9, 9, 2, 0, 0, 0, b'h', b'i'];
/// assert_eq!(metashrew_abi::buffer::at(&memory, 6), Some(&b"hi"[..]));
/// assert_eq!(metashrew_abi::buffer::at(&memory, 7), None);
/// assert_eq!(metashrew_abi::buffer::at(&memory, 3), None);
/// ```
pub fn at(memory: &[u8], pointer: u32) -> Option<&[u8]> {
    let start = usize::try_from(pointer).ok()?;
    let length = memory.get(start.checked_sub(LENGTH_BYTES)?..start)?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    memory.get(start..end)
}

/// `data` with its length in front, as a guest lays it out.
///
/// ```
/// # use metashrew_abi::buffer;
/// assert_eq!(buffer::encode(b"hi"), [2, 0, 0, 0, b'h', b'i']);
/// ```
pub fn encode(data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a wasm32 buffer is below 4 GiB");
    let mut buffer = Vec::with_capacity(LENGTH_BYTES + data.len());
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(data);
    buffer
}

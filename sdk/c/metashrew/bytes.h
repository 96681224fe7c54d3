// Bytes: a pointer and a length, which own nothing.
#ifndef METASHREW_BYTES_H
#define METASHREW_BYTES_H

#include "host.h"

typedef struct {
  const uint8_t *data;
  size_t size;
} ms_bytes;

// The bytes of a text that ends with a zero, without that.
MS_FN ms_bytes ms_text(const char *text) { return (ms_bytes){(const uint8_t *)text, __builtin_strlen(text)}; }

// The bytes of an array or of any other variable.
#define MS_BYTES_OF(variable) ((ms_bytes){(const uint8_t *)&(variable), sizeof(variable)})

// So many bytes from a place on, or fewer where they end.
MS_FN ms_bytes ms_slice(ms_bytes bytes, size_t start, size_t size) {
  if (start > bytes.size) start = bytes.size;
  if (size > bytes.size - start) size = bytes.size - start;
  return (ms_bytes){bytes.data + start, size};
}

// Negative, 0 or positive, as `a` is before, the same as or after `b` in the order of keys.
MS_FN int ms_compare(ms_bytes a, ms_bytes b) {
  int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
  if (order != 0) return order;
  return a.size < b.size ? -1 : a.size > b.size;
}

MS_FN bool ms_equal(ms_bytes a, ms_bytes b) { return a.size == b.size && memcmp(a.data, b.data, a.size) == 0; }

// The same bytes, in the arena.
MS_FN ms_bytes ms_copy(ms_bytes bytes) {
  return (ms_bytes){memcpy(ms_reserve(bytes.size), bytes.data, bytes.size), bytes.size};
}

// The same bytes, as the host takes them.
MS_FN const uint8_t *ms_host_copy(ms_bytes bytes) {
  return memcpy(ms_host_buffer((uint32_t)bytes.size), bytes.data, bytes.size);
}

// The number that up to 8 bytes hold, the lowest first; 0 if there are none. More end the call.
MS_FN uint64_t ms_little_endian(ms_bytes bytes) {
  if (bytes.size > 8) ms_fail("a number of more than 8 bytes");
  uint64_t number = 0;
  for (size_t i = 0; i < bytes.size; i++) number |= (uint64_t)bytes.data[i] << (8 * i);
  return number;
}

MS_FN int ms_hex_digit(uint32_t c) {
  if (c >= '0' && c <= '9') return (int)c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

// The bytes that hex stands for; false if it is none.
MS_FN bool ms_from_hex(ms_bytes hex, ms_bytes *bytes) {
  if (hex.size % 2 != 0) return false;
  uint8_t *made = ms_reserve(hex.size / 2);
  for (size_t i = 0; i < hex.size / 2; i++) {
    int high = ms_hex_digit(hex.data[2 * i]), low = ms_hex_digit(hex.data[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    made[i] = (uint8_t)(high << 4 | low);
  }
  *bytes = (ms_bytes){made, hex.size / 2};
  return true;
}

#endif

// The functions of the host (docs/abi.md), and how a call is given up.
//
// The linker leaves out what a guest never calls, so that a guest imports the module `metashrew` only if it reads
// many keys at once or ranges.
#ifndef METASHREW_HOST_H
#define METASHREW_HOST_H

#include "memory.h"

#define MS_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

// A pointer names the first byte of a buffer; the four bytes before it hold its length.
MS_IMPORT("env", "__host_len") extern uint32_t ms_host_len(void);
MS_IMPORT("env", "__load_input") extern void ms_host_load_input(void *buffer);
MS_IMPORT("env", "__get_len") extern uint32_t ms_host_get_len(const void *key);
MS_IMPORT("env", "__get") extern void ms_host_get(const void *key, void *buffer);
MS_IMPORT("env", "__flush") extern void ms_host_flush(const void *message);
MS_IMPORT("env", "__log") extern void ms_host_log(const void *text);
MS_IMPORT("env", "abort") extern void ms_host_abort(const void *message, const void *file, int line, int column);
MS_IMPORT("metashrew", "read_many") extern int32_t ms_host_read_many(const void *keys);
MS_IMPORT("metashrew", "read_range") extern uint32_t ms_host_read_range(const void *request);
MS_IMPORT("metashrew", "load_answer") extern void ms_host_load_answer(void *buffer);

// A buffer for the host, of this length. What is in it is anything.
MS_FN uint8_t *ms_host_buffer(uint32_t size) {
  uint8_t *buffer = ms_reserve((size_t)size + 8);
  *(uint32_t *)(buffer + 4) = size;
  return buffer + 8;
}

// The next character of UTF-8, or U+FFFD and one byte further where there is none.
MS_FN uint32_t ms_next_character(const uint8_t **at, const uint8_t *end) {
  uint32_t first = *(*at)++;
  if (first < 0x80) return first;
  uint32_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  if (first < 0xc2 || first > 0xf4 || (size_t)(end - *at) < more) return 0xfffd;
  uint32_t character = first & (0x3f >> more);
  for (uint32_t i = 0; i < more; i++) {
    if (((*at)[i] & 0xc0) != 0x80) return 0xfffd;
    character = character << 6 | ((*at)[i] & 0x3f);
  }
  const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  bool is_surrogate = character >= 0xd800 && character < 0xe000;
  if (character < least[more] || character > 0x10ffff || is_surrogate) return 0xfffd;
  *at += more;
  return character;
}

// Ends the call with a message in UTF-8, of which 1,000 bytes are taken. Of a block nothing is kept; indexing stops.
_Noreturn MS_FN void ms_fail_with(const uint8_t *text, size_t size) {
  enum { MOST = 1000 };
  // Static, since the arena may be what there is no more of.
  static struct {
    uint32_t size;
    uint16_t units[MOST];
  } message;
  size_t count = 0;
  const uint8_t *end = text + (size < MOST ? size : MOST);
  while (text < end) {
    uint32_t character = ms_next_character(&text, end);
    if (character >= 0x10000) {
      message.units[count++] = (uint16_t)(0xd7c0 + (character >> 10));
      character = 0xdc00 | (character & 0x3ff);
    }
    message.units[count++] = (uint16_t)character;
  }
  message.size = (uint32_t)(2 * count);
  ms_host_abort(message.units, 0, 0, 0);
  __builtin_trap();
}

// Ends the call with a message.
_Noreturn MS_FN void ms_fail(const char *text) { ms_fail_with((const uint8_t *)text, __builtin_strlen(text)); }

// So that `__builtin_strlen` of a text that is not known when it is compiled finds one.
__attribute__((weak, no_builtin("strlen"))) size_t strlen(const char *text) {
  size_t size = 0;
  while (text[size] != 0) size++;
  return size;
}

#endif

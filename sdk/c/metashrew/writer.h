// Bytes that grow at their end: keys, values, answers.
#ifndef METASHREW_WRITER_H
#define METASHREW_WRITER_H

#include "bytes.h"

// Begins as `ms_writer answer = {0};`.
typedef struct {
  uint8_t *data;
  size_t size, room;
} ms_writer;

// What was written. What is written later does not show in it.
MS_FN ms_bytes ms_written(const ms_writer *writer) { return (ms_bytes){writer->data, writer->size}; }

// Where so many bytes more go.
MS_FN uint8_t *ms_put_space(ms_writer *writer, size_t size) {
  if (size > writer->room - writer->size) {
    if (size > 0x40000000 || writer->size > 0x40000000) ms_fail("more than 1 GiB in one writer");
    size_t room = writer->room < 32 ? 64 : writer->room * 2;
    if (room < writer->size + size) room = writer->size + size;
    uint8_t *larger = ms_reserve(room);
    memcpy(larger, writer->data, writer->size);
    writer->data = larger;
    writer->room = room;
  }
  writer->size += size;
  return writer->data + writer->size - size;
}

MS_FN void ms_put(ms_writer *writer, ms_bytes bytes) { memcpy(ms_put_space(writer, bytes.size), bytes.data, bytes.size); }
MS_FN void ms_put_text(ms_writer *writer, const char *text) { ms_put(writer, ms_text(text)); }
MS_FN void ms_put_byte(ms_writer *writer, uint8_t byte) { *ms_put_space(writer, 1) = byte; }

// A number of so many bytes, the lowest first: how values are kept.
MS_FN void ms_put_le(ms_writer *writer, uint64_t number, unsigned size) {
  uint8_t *at = ms_put_space(writer, size);
  for (unsigned i = 0; i < size; i++) at[i] = (uint8_t)(number >> (8 * i));
}

// A number of so many bytes, the highest first: keys made so are in the order of numbers.
MS_FN void ms_put_be(ms_writer *writer, uint64_t number, unsigned size) {
  uint8_t *at = ms_put_space(writer, size);
  for (unsigned i = 0; i < size; i++) at[i] = (uint8_t)(number >> (8 * (size - 1 - i)));
}

// A number as people read it.
MS_FN void ms_put_decimal(ms_writer *writer, uint64_t number) {
  uint8_t digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (uint8_t)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  ms_put(writer, (ms_bytes){digits + at, sizeof digits - at});
}

MS_FN void ms_put_hex_byte(ms_writer *writer, uint8_t byte) {
  static const char digits[] = "0123456789abcdef";
  ms_put_byte(writer, (uint8_t)digits[byte >> 4]);
  ms_put_byte(writer, (uint8_t)digits[byte & 15]);
}

MS_FN void ms_put_hex(ms_writer *writer, ms_bytes bytes) {
  for (size_t i = 0; i < bytes.size; i++) ms_put_hex_byte(writer, bytes.data[i]);
}

// A hash as people read it: hex, last byte first.
MS_FN void ms_put_hash(ms_writer *writer, ms_bytes hash) {
  for (size_t i = hash.size; i > 0; i--) ms_put_hex_byte(writer, hash.data[i - 1]);
}

// How many bytes the character takes with which a text begins, in UTF-8; or how many bytes stand for none there.
MS_FN size_t ms_utf8_size(ms_bytes text, bool *is_character) {
  uint8_t c = text.data[0];
  size_t size = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  // No longer form of a shorter character, no half of a pair, none above the last one.
  uint8_t lowest = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  uint8_t highest = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  size_t at = 1;
  for (; at < size && at < text.size && text.data[at] >= lowest && text.data[at] <= highest; at++) {
    lowest = 0x80;
    highest = 0xbf;
  }
  *is_character = at == size;
  return at;
}

// A text as JSON has it, with its quotes. U+FFFD stands for bytes that are no character in UTF-8.
MS_FN void ms_put_json_text(ms_writer *writer, ms_bytes text) {
  ms_put_byte(writer, '"');
  while (text.size > 0) {
    uint8_t c = text.data[0];
    bool is_character;
    size_t size = ms_utf8_size(text, &is_character);
    if (c < 0x20) {
      ms_put_text(writer, "\\u00");
      ms_put_hex_byte(writer, c);
    } else if (is_character) {
      if (c == '"' || c == '\\') ms_put_byte(writer, '\\');
      ms_put(writer, ms_slice(text, 0, size));
    } else {
      ms_put_text(writer, "\xef\xbf\xbd");
    }
    text = ms_slice(text, size, text.size);
  }
  ms_put_byte(writer, '"');
}

// A number of protobuf, seven bits a byte.
MS_FN void ms_put_varint(ms_writer *writer, uint32_t number) {
  for (; number > 0x7f; number >>= 7) ms_put_byte(writer, (uint8_t)(number | 0x80));
  ms_put_byte(writer, (uint8_t)number);
}

// A field of protobuf that holds bytes.
MS_FN void ms_put_field(ms_writer *writer, uint32_t field, ms_bytes bytes) {
  ms_put_varint(writer, field << 3 | 2);
  ms_put_varint(writer, (uint32_t)bytes.size);
  ms_put(writer, bytes);
}

// A length and as many bytes: a part, as the host's optional functions have it.
MS_FN void ms_put_part(ms_writer *writer, ms_bytes bytes) {
  ms_put_le(writer, bytes.size, 4);
  ms_put(writer, bytes);
}

// Logs a line.
MS_FN void ms_log(ms_bytes text) { ms_host_log(ms_host_copy(text)); }

#endif

// As much of JSON as questions need: an object of numbers, texts and truth values. An empty input is `{}`. The first
// mistake is kept, and told at the end:
//
//     ms_json question = ms_json_parse(input);
//     uint64_t height_asked = ms_json_u64(&question, "height", height);
//     if (ms_json_end(&question)) return ms_error(question.mistake);
#ifndef METASHREW_JSON_H
#define METASHREW_JSON_H

#include "writer.h"

enum { MS_JSON_MEMBERS = 64, MS_JSON_DEPTH = 64 };

typedef struct {
  ms_bytes name;   // What it stands for, without quotes and escapes.
  ms_bytes value;  // As it is written.
  bool is_asked;
} ms_json_member;

typedef struct {
  ms_json_member members[MS_JSON_MEMBERS];
  size_t count;
  ms_bytes mistake;  // Empty if there is none.
} ms_json;

MS_FN void ms_json_note(ms_json *json, const char *before, ms_bytes name, const char *behind) {
  if (json->mistake.size > 0) return;
  ms_writer text = {0};
  ms_put_text(&text, "bad input: ");
  ms_put_text(&text, before);
  ms_put(&text, name);
  ms_put_text(&text, behind);
  json->mistake = ms_written(&text);
}

MS_FN bool ms_json_take(ms_bytes *left, uint8_t c) {
  if (left->size == 0 || left->data[0] != c) return false;
  *left = ms_slice(*left, 1, left->size);
  return true;
}

MS_FN bool ms_json_take_text(ms_bytes *left, const char *text) {
  ms_bytes wanted = ms_text(text);
  if (!ms_equal(ms_slice(*left, 0, wanted.size), wanted)) return false;
  *left = ms_slice(*left, wanted.size, left->size);
  return true;
}

MS_FN void ms_json_skip_blanks(ms_bytes *left) {
  while (ms_json_take(left, ' ') || ms_json_take(left, '\t') || ms_json_take(left, '\n') || ms_json_take(left, '\r')) {
  }
}

MS_FN bool ms_json_take_mark(ms_bytes *left, uint8_t c) {
  ms_json_skip_blanks(left);
  return ms_json_take(left, c);
}

// Takes a text with its quotes.
MS_FN bool ms_json_take_string(ms_bytes *left) {
  if (!ms_json_take_mark(left, '"')) return false;
  while (!ms_json_take(left, '"')) {
    if (left->size == 0 || left->data[0] < 0x20) return false;
    if (!ms_json_take(left, '\\')) {
      *left = ms_slice(*left, 1, left->size);
    } else if (ms_json_take(left, 'u')) {
      for (int i = 0; i < 4; i++) {
        if (left->size == 0 || ms_hex_digit(left->data[0]) < 0) return false;
        *left = ms_slice(*left, 1, left->size);
      }
    } else {
      bool is_known = false;
      for (const char *c = "\"\\/bfnrt"; *c != 0 && !is_known; c++) is_known = ms_json_take(left, (uint8_t)*c);
      if (!is_known) return false;
    }
  }
  return true;
}

MS_FN size_t ms_json_take_digits(ms_bytes *left) {
  size_t count = 0;
  while (left->size > 0 && left->data[0] >= '0' && left->data[0] <= '9') {
    *left = ms_slice(*left, 1, left->size);
    count++;
  }
  return count;
}

MS_FN bool ms_json_take_number(ms_bytes *left) {
  ms_json_take(left, '-');
  bool is_zero = left->size > 0 && left->data[0] == '0';
  size_t whole = ms_json_take_digits(left);
  if (whole == 0 || (is_zero && whole > 1)) return false;
  if (ms_json_take(left, '.') && ms_json_take_digits(left) == 0) return false;
  if (!ms_json_take(left, 'e') && !ms_json_take(left, 'E')) return true;
  if (!ms_json_take(left, '+')) ms_json_take(left, '-');
  return ms_json_take_digits(left) > 0;
}

// Takes any value.
MS_FN bool ms_json_take_value(ms_bytes *left, int depth) {
  ms_json_skip_blanks(left);
  uint8_t c = left->size == 0 ? 0 : left->data[0];
  if (c == '"') return ms_json_take_string(left);
  if (c != '{' && c != '[') {
    bool is_word = ms_json_take_text(left, "true") || ms_json_take_text(left, "false") || ms_json_take_text(left, "null");
    return is_word || ms_json_take_number(left);
  }
  uint8_t close = c + 2;
  ms_json_take(left, c);
  if (depth == MS_JSON_DEPTH) return false;
  if (ms_json_take_mark(left, close)) return true;
  do {
    if (c == '{' && (!ms_json_take_string(left) || !ms_json_take_mark(left, ':'))) return false;
    if (!ms_json_take_value(left, depth + 1)) return false;
  } while (ms_json_take_mark(left, ','));
  return ms_json_take_mark(left, close);
}

// The four hex digits behind an escape, which are there.
MS_FN uint32_t ms_json_unit(const uint8_t *digits) {
  uint32_t unit = 0;
  for (int i = 0; i < 4; i++) unit = unit << 4 | (uint32_t)ms_hex_digit(digits[i]);
  return unit;
}

MS_FN void ms_put_utf8(ms_writer *writer, uint32_t character) {
  unsigned more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  const uint8_t mark[] = {0, 0xc0, 0xe0, 0xf0};
  ms_put_byte(writer, (uint8_t)(mark[more] | character >> (6 * more)));
  while (more-- > 0) ms_put_byte(writer, (uint8_t)(0x80 | (character >> (6 * more) & 0x3f)));
}

// What a text with quotes and escapes stands for. An escape of half a character stands for U+FFFD.
MS_FN ms_bytes ms_json_plain(ms_bytes written) {
  ms_writer plain = {0};
  const uint8_t *at = written.data + 1, *end = written.data + written.size - 1;
  while (at < end) {
    uint8_t c = *at++;
    if (c != '\\') {
      ms_put_byte(&plain, c);
      continue;
    }
    c = *at++;
    if (c != 'u') {
      ms_put_byte(&plain, c == 'b' ? 8 : c == 't' ? 9 : c == 'n' ? 10 : c == 'f' ? 12 : c == 'r' ? 13 : c);
      continue;
    }
    uint32_t unit = ms_json_unit(at);
    at += 4;
    if (unit >= 0xd800 && unit < 0xe000) {
      bool has_second = unit < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u';
      uint32_t second = has_second ? ms_json_unit(at + 2) : 0;
      bool is_pair = second >= 0xdc00 && second < 0xe000;
      unit = is_pair ? 0x10000 + ((unit & 0x3ff) << 10 | (second & 0x3ff)) : 0xfffd;
      if (is_pair) at += 6;
    }
    ms_put_utf8(&plain, unit);
  }
  return ms_written(&plain);
}

MS_FN ms_json_member *ms_json_find(ms_json *json, ms_bytes name) {
  for (size_t i = 0; i < json->count; i++) {
    if (ms_equal(json->members[i].name, name)) return &json->members[i];
  }
  return 0;
}

// Takes a member; false if there is a mistake.
MS_FN bool ms_json_take_member(ms_json *json, ms_bytes *left) {
  ms_json_skip_blanks(left);
  ms_bytes start = *left;
  if (!ms_json_take_string(left)) return false;
  ms_bytes name = ms_json_plain(ms_slice(start, 0, (size_t)(left->data - start.data)));
  if (!ms_json_take_mark(left, ':')) return false;
  ms_json_skip_blanks(left);
  start = *left;
  if (!ms_json_take_value(left, 0)) return false;
  if (ms_json_find(json, name) != 0) ms_json_note(json, "field `", name, "` is given twice");
  if (json->count == MS_JSON_MEMBERS) ms_json_note(json, "more than 64 fields", ms_text(""), "");
  if (json->mistake.size > 0) return false;
  json->members[json->count++] = (ms_json_member){name, ms_slice(start, 0, (size_t)(left->data - start.data)), false};
  return true;
}

// Reads an object.
MS_FN ms_json ms_json_parse(ms_bytes input) {
  ms_json json = {.count = 0};
  if (input.size == 0) return json;
  ms_bytes left = input;
  bool is_object = ms_json_take_mark(&left, '{');
  if (is_object && !ms_json_take_mark(&left, '}')) {
    do {
      is_object = ms_json_take_member(&json, &left);
    } while (is_object && ms_json_take_mark(&left, ','));
    is_object = is_object && ms_json_take_mark(&left, '}');
  }
  ms_json_skip_blanks(&left);
  if (!is_object || left.size > 0) ms_json_note(&json, "want a JSON object", ms_text(""), "");
  return json;
}

// The value under a name as it is written; empty if there is none.
MS_FN ms_bytes ms_json_raw(ms_json *json, const char *name) {
  ms_json_member *member = ms_json_find(json, ms_text(name));
  if (member == 0) return (ms_bytes){0, 0};
  member->is_asked = true;
  return member->value;
}

// Whether there is a member of this name.
MS_FN bool ms_json_has(ms_json *json, const char *name) { return ms_json_raw(json, name).size > 0; }

// The number under a name, or what stands for none.
MS_FN uint64_t ms_json_u64(ms_json *json, const char *name, uint64_t otherwise) {
  ms_bytes value = ms_json_raw(json, name);
  if (value.size == 0) return otherwise;
  uint64_t number = 0;
  bool is_number = true;
  for (size_t i = 0; i < value.size && is_number; i++) {
    uint64_t digit = (uint64_t)value.data[i] - '0';
    is_number = digit <= 9 && number <= (UINT64_MAX - digit) / 10;
    number = number * 10 + digit;
  }
  if (is_number) return number;
  ms_json_note(json, "`", ms_text(name), "` is no whole number from 0 to 18446744073709551615");
  return otherwise;
}

// The truth value under a name, or what stands for none.
MS_FN bool ms_json_bool(ms_json *json, const char *name, bool otherwise) {
  ms_bytes value = ms_json_raw(json, name);
  if (value.size == 0) return otherwise;
  if (ms_equal(value, ms_text("true"))) return true;
  if (!ms_equal(value, ms_text("false"))) ms_json_note(json, "`", ms_text(name), "` is neither true nor false");
  return false;
}

// The text under a name, or what stands for none.
MS_FN ms_bytes ms_json_text(ms_json *json, const char *name, ms_bytes otherwise) {
  ms_bytes value = ms_json_raw(json, name);
  if (value.size == 0) return otherwise;
  if (value.data[0] == '"') return ms_json_plain(value);
  ms_json_note(json, "`", ms_text(name), "` is no text");
  return otherwise;
}

// Whether there was a mistake: `json->mistake`. A member that was not asked for is one, too.
MS_FN bool ms_json_end(ms_json *json) {
  for (size_t i = 0; i < json->count; i++) {
    if (!json->members[i].is_asked) ms_json_note(json, "unknown field `", json->members[i].name, "`");
  }
  return json->mistake.size > 0;
}

#endif

// Many keys in one call of the host, and keys in order. Both need a host with the import module `metashrew`.
#ifndef METASHREW_RANGE_H
#define METASHREW_RANGE_H

#include "state.h"

// Takes a number off the front of an answer of the host.
MS_FN uint32_t ms_take_u32(ms_bytes *answer) {
  if (answer->size < 4) ms_fail("the host's answer ends inside a number");
  uint32_t number = (uint32_t)ms_little_endian(ms_slice(*answer, 0, 4));
  *answer = ms_slice(*answer, 4, answer->size);
  return number;
}

// Takes a length and as many bytes.
MS_FN ms_bytes ms_take_part(ms_bytes *answer) {
  uint32_t size = ms_take_u32(answer);
  if (answer->size < size) ms_fail("the host's answer ends inside a part");
  ms_bytes part = ms_slice(*answer, 0, size);
  *answer = ms_slice(*answer, size, answer->size);
  return part;
}

MS_FN ms_bytes ms_load_answer(uint32_t size) {
  uint8_t *answer = ms_host_buffer(size);
  ms_host_load_answer(answer);
  return (ms_bytes){answer, size};
}

// Reads the values of many keys, in their order; an absent key's is empty. Keys may be 65,536 at most, values
// 256 MiB together: more ends the call.
MS_FN void ms_get_many(const ms_bytes *keys, size_t count, ms_bytes *values) {
  ms_writer request = {0};
  for (size_t i = 0; i < count; i++) ms_put_part(&request, keys[i]);
  int32_t size = ms_host_read_many(ms_host_copy(ms_written(&request)));
  if (size == -1) ms_fail("ms_get_many: more than 65,536 keys");
  if (size < 0) ms_fail("ms_get_many: the values have more than 256 MiB");
  ms_bytes answer = ms_load_answer((uint32_t)size);
  for (size_t i = 0; i < count; i++) {
    values[i] = ms_take_part(&answer);
    ms_own *own = ms_own_entry(keys[i]);
    if (own != 0) values[i] = own->value;
  }
}

// The keys from `start` on and before `end`; an empty `end` is the end of all keys. A page has `limit` entries at
// most, 1 to 65,536.
typedef struct {
  ms_bytes start, end;
  uint32_t limit;
  bool is_reverse;    // The highest key first.
  bool is_keys_only;  // Values stay empty: they are not read.
} ms_range;

typedef struct {
  ms_bytes key, value;
} ms_entry;

// Some entries of a range, in its order.
typedef struct {
  ms_entry *entries;
  size_t count;
  bool has_more;  // Whether anything follows: `ms_after` the last key.
} ms_page;

// All keys that begin so.
MS_FN ms_range ms_prefix(ms_bytes prefix, uint32_t limit) {
  size_t size = prefix.size;
  while (size > 0 && prefix.data[size - 1] == 0xff) size--;
  ms_bytes end = ms_copy(ms_slice(prefix, 0, size));
  if (size > 0) ((uint8_t *)end.data)[size - 1]++;
  return (ms_range){.start = prefix, .end = end, .limit = limit};
}

// What follows a key in the range. Set `is_reverse` before. Behind the empty key of a reverse range is nothing; do
// not ask for that.
MS_FN void ms_after(ms_range *range, ms_bytes key) {
  if (range->is_reverse) {
    range->end = key;
    return;
  }
  ms_writer next = {0};
  ms_put(&next, key);
  ms_put_byte(&next, 0);
  range->start = ms_written(&next);
}

MS_FN bool ms_is_before(const ms_range *range, ms_bytes a, ms_bytes b) {
  int order = ms_compare(a, b);
  return range->is_reverse ? order > 0 : order < 0;
}

// What is under `at` sinks to its place in a heap whose first key is the range's last.
MS_FN void ms_sink(const ms_range *range, ms_own **heap, size_t at, size_t count) {
  for (;;) {
    size_t last = at;
    for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
      if (ms_is_before(range, heap[last]->key, heap[child]->key)) last = child;
    }
    if (last == at) return;
    ms_own *moved = heap[at];
    heap[at] = heap[last];
    heap[last] = moved;
    at = last;
  }
}

// What the call has set inside the range, in its order.
MS_FN size_t ms_owns_inside(const ms_range *range, ms_own ***inside) {
  ms_own **found = ms_reserve(ms_owns.count * sizeof *found);
  size_t count = 0;
  for (size_t i = 0; i < ms_owns.count; i++) {
    ms_bytes key = ms_owns.entries[i].key;
    bool is_behind_start = ms_compare(key, range->start) >= 0;
    bool is_before_end = range->end.size == 0 || ms_compare(key, range->end) < 0;
    if (is_behind_start && is_before_end) found[count++] = &ms_owns.entries[i];
  }
  for (size_t i = count / 2; i > 0; i--) ms_sink(range, found, i - 1, count);
  for (size_t left = count; left > 1; left--) {
    ms_own *last = found[0];
    found[0] = found[left - 1];
    found[left - 1] = last;
    ms_sink(range, found, 0, left - 1);
  }
  *inside = found;
  return count;
}

// A page that is being made: the state's entries come in order, and own ones go between and over them.
typedef struct {
  const ms_range *range;
  ms_page page;
  ms_own **own;
  size_t own_count, own_at;
} ms_merge;

MS_FN void ms_merge_add(ms_merge *merge, ms_bytes key, ms_bytes value) {
  if (merge->page.count == merge->range->limit) {
    merge->page.has_more = true;
  } else {
    ms_bytes shown = merge->range->is_keys_only ? (ms_bytes){0, 0} : value;
    merge->page.entries[merge->page.count++] = (ms_entry){key, shown};
  }
}

MS_FN void ms_merge_own(ms_merge *merge) {
  ms_own *own = merge->own[merge->own_at++];
  if (own->value.size > 0) ms_merge_add(merge, own->key, own->value);
}

MS_FN void ms_merge_stored(ms_merge *merge, ms_bytes key, ms_bytes value) {
  while (merge->own_at < merge->own_count && ms_is_before(merge->range, merge->own[merge->own_at]->key, key)) {
    ms_merge_own(merge);
  }
  bool is_own = merge->own_at < merge->own_count && ms_equal(merge->own[merge->own_at]->key, key);
  if (is_own) {
    ms_merge_own(merge);
  } else {
    ms_merge_add(merge, key, value);
  }
}

MS_FN ms_bytes ms_ask_range(const ms_range *range, size_t count) {
  ms_writer request = {0};
  ms_put_byte(&request, (uint8_t)(range->is_reverse | range->is_keys_only << 1));
  ms_put_le(&request, count, 4);
  ms_put_le(&request, 1 << 26, 4);  // 64 MiB, the most that the host gives at once.
  ms_put_part(&request, range->start);
  ms_put_part(&request, range->end);
  return ms_load_answer(ms_host_read_range(ms_host_copy(ms_written(&request))));
}

// Reads a page. It shows what `ms_get` shows: the state, with the call's own writes on top; a key with an empty value
// is not in it.
MS_FN ms_page ms_read_page(const ms_range *range) {
  enum { END = 0, TOO_LONG = 3 };
  if (range->limit < 1 || range->limit > 65536) ms_fail("a page has 1 to 65,536 entries");
  ms_merge merge = {.range = range, .page.entries = ms_reserve(range->limit * sizeof(ms_entry))};
  merge.own_count = ms_owns_inside(range, &merge.own);
  ms_range left = *range;
  while (left.end.size == 0 || ms_compare(left.start, left.end) < 0) {
    // One more than asked for tells whether there is another page.
    ms_bytes answer = ms_ask_range(&left, range->limit + 1 - merge.page.count);
    if (answer.size == 0) ms_fail("the host's answer to a range is empty");
    uint8_t why = answer.data[0];
    answer = ms_slice(answer, 1, answer.size);
    ms_bytes last = {0, 0};
    while (answer.size > 0) {
      last = ms_take_part(&answer);
      bool has_value = why != TOO_LONG && !range->is_keys_only;
      ms_bytes value = {0, 0};
      if (has_value) {
        value = ms_take_part(&answer);
      } else {
        ms_take_u32(&answer);
        if (!range->is_keys_only) value = ms_stored(last);
      }
      ms_merge_stored(&merge, last, value);
    }
    if (why == END || merge.page.has_more || (range->is_reverse && last.size == 0)) break;
    ms_after(&left, last);
  }
  while (merge.own_at < merge.own_count && !merge.page.has_more) ms_merge_own(&merge);
  return merge.page;
}

#endif

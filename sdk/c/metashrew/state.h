// The state: reads, and the writes of this call, which reads see.
#ifndef METASHREW_STATE_H
#define METASHREW_STATE_H

#include "writer.h"

// What the call has set for a key.
typedef struct {
  ms_bytes key, value;
  bool is_flushed;
} ms_own;

// What the call has set, in the order in which keys were first set, and where each key is: slots of a hash
// table, which hold a number of an entry and 1, or 0.
static struct {
  ms_own *entries;
  uint32_t *slots;
  size_t count, slot_count;
} ms_owns;

// Forgets what an earlier call set.
MS_FN void ms_forget_writes(void) { memset(&ms_owns, 0, sizeof ms_owns); }

// The slot of a key, or the free one where it would be. There must be slots.
MS_FN uint32_t *ms_own_slot(ms_bytes key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (size_t i = 0; i < key.size; i++) hash = (hash ^ key.data[i]) * 0x100000001b3;
  size_t at = (size_t)(hash ^ hash >> 32) & (ms_owns.slot_count - 1);
  while (ms_owns.slots[at] != 0 && !ms_equal(ms_owns.entries[ms_owns.slots[at] - 1].key, key)) {
    at = (at + 1) & (ms_owns.slot_count - 1);
  }
  return &ms_owns.slots[at];
}

// What the call has set for a key, or null.
MS_FN ms_own *ms_own_entry(ms_bytes key) {
  if (ms_owns.count == 0) return 0;
  uint32_t number = *ms_own_slot(key);
  return number == 0 ? 0 : &ms_owns.entries[number - 1];
}

// Makes room for twice as many keys; half of the slots stay free.
MS_FN void ms_grow_owns(void) {
  size_t room = ms_owns.slot_count == 0 ? 64 : ms_owns.slot_count;
  ms_own *entries = ms_reserve(room * sizeof *entries);
  memcpy(entries, ms_owns.entries, ms_owns.count * sizeof *entries);
  ms_owns.entries = entries;
  ms_owns.slot_count = room * 2;
  ms_owns.slots = ms_alloc(ms_owns.slot_count * sizeof *ms_owns.slots);
  for (size_t i = 0; i < ms_owns.count; i++) *ms_own_slot(entries[i].key) = (uint32_t)i + 1;
}

// The state's value of a key, without what the call has set; empty if it has none.
MS_FN ms_bytes ms_stored(ms_bytes key) {
  const uint8_t *name = ms_host_copy(key);
  uint32_t size = ms_host_get_len(name);
  uint8_t *value = ms_host_buffer(size);
  if (size > 0) ms_host_get(name, value);
  return (ms_bytes){value, size};
}

// The value of a key, as the call has set it or as the state has it; empty if it has none.
MS_FN ms_bytes ms_get(ms_bytes key) {
  ms_own *own = ms_own_entry(key);
  return own != 0 ? own->value : ms_stored(key);
}

// Sets a key; both are copied. An empty value makes the key absent. It reaches the state with the block's end.
MS_FN void ms_set(ms_bytes key, ms_bytes value) {
  if (ms_owns.count * 2 >= ms_owns.slot_count) ms_grow_owns();
  uint32_t *slot = ms_own_slot(key);
  if (*slot == 0) {
    ms_owns.entries[ms_owns.count++].key = ms_copy(key);
    *slot = (uint32_t)ms_owns.count;
  }
  ms_own *own = &ms_owns.entries[*slot - 1];
  own->value = ms_copy(value);
  own->is_flushed = false;
}

// A number of up to 8 bytes, the lowest first; 0 if there is none.
MS_FN uint64_t ms_get_u64(ms_bytes key) { return ms_little_endian(ms_get(key)); }

// Keeps a number in 8 bytes, the lowest first.
MS_FN void ms_set_u64(ms_bytes key, uint64_t number) { ms_set(key, MS_BYTES_OF(number)); }

// Hands what was set to the host. `METASHREW_BLOCK` does it at the block's end.
MS_FN void ms_flush(void) {
  ms_writer message = {0};
  ms_put_space(&message, 8);  // The host's length stands in front.
  for (size_t i = 0; i < ms_owns.count; i++) {
    ms_own *own = &ms_owns.entries[i];
    if (own->is_flushed) continue;
    ms_put_field(&message, 1, own->key);
    ms_put_field(&message, 1, own->value);
    own->is_flushed = true;
  }
  *(uint32_t *)(message.data + 4) = (uint32_t)message.size - 8;
  ms_host_flush(message.data + 8);
}

#endif

// Memory of one call: an arena that only grows, and what the compiler takes for granted of a libc.
#ifndef METASHREW_MEMORY_H
#define METASHREW_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef __wasm32__
#error "a Metashrew guest is built with clang --target=wasm32"
#endif

// Functions of this library: a guest need not use all of them.
#define MS_FN static __attribute__((unused))

// The compiler may call these for copies and loops of its own. With -mbulk-memory it rarely does.
__attribute__((weak, no_builtin("memcpy"))) void *memcpy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
  return to;
}
__attribute__((weak, no_builtin("memmove"))) void *memmove(void *to, const void *from, size_t size) {
  uint8_t *target = to;
  const uint8_t *source = from;
  if ((uintptr_t)to < (uintptr_t)from) {
    for (size_t i = 0; i < size; i++) target[i] = source[i];
  } else {
    for (size_t i = size; i > 0; i--) target[i - 1] = source[i - 1];
  }
  return to;
}
__attribute__((weak, no_builtin("memset"))) void *memset(void *to, int byte, size_t size) {
  for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = (uint8_t)byte;
  return to;
}
__attribute__((weak, no_builtin("memcmp"))) int memcmp(const void *a, const void *b, size_t size) {
  for (size_t i = 0; i < size; i++) {
    int order = ((const uint8_t *)a)[i] - ((const uint8_t *)b)[i];
    if (order != 0) return order;
  }
  return 0;
}

_Noreturn MS_FN void ms_fail(const char *text);

// Where the linker lets the heap begin.
extern uint8_t __heap_base;
// Where the arena goes on; 0 until it is first used.
static uintptr_t ms_arena;

// Gives back all that was allocated.
MS_FN void ms_reset_arena(void) { ms_arena = (uintptr_t)&__heap_base; }

// Memory that holds anything. The call ends if there is no more of it.
MS_FN void *ms_reserve(size_t size) {
  const uint64_t page = 65536;
  if (ms_arena == 0) ms_reset_arena();
  uintptr_t start = (ms_arena + 7) & ~(uintptr_t)7;
  uint64_t end = (uint64_t)start + size;
  uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) * page;
  if (end > have) {
    uint64_t pages = (end - have + page - 1) / page;
    if (pages > 65536 || __builtin_wasm_memory_grow(0, (size_t)pages) == (size_t)-1) {
      ms_fail("the guest's memory is used up");
    }
  }
  ms_arena = (uintptr_t)end;
  return (void *)start;
}

// Memory that holds zeros, until the next call begins.
MS_FN void *ms_alloc(size_t size) { return memset(ms_reserve(size), 0, size); }

#endif

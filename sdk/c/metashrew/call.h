// Calls of the host: blocks, views, and what the guest says of itself.
#ifndef METASHREW_CALL_H
#define METASHREW_CALL_H

#include "state.h"

#define MS_EXPORT(name) __attribute__((export_name(name)))

// What a call is about.
typedef struct {
  uint32_t height;
  ms_bytes bytes;
} ms_call;

// What a view answers, or why it cannot.
typedef struct {
  ms_bytes bytes;
  bool is_error;
} ms_answer;

// Whether the host tells where a call begins. Such a host also takes errors of views.
static bool ms_is_announced;
// The error with which a view has just ended.
static ms_bytes ms_last_error;

MS_FN void ms_begin(void) {
  ms_last_error = (ms_bytes){0, 0};
  ms_forget_writes();
  ms_reset_arena();
}

MS_EXPORT("__metashrew_begin") void ms_export_begin(int32_t kind) {
  (void)kind;
  ms_is_announced = true;
  ms_begin();
}

MS_EXPORT("__metashrew_error") const void *ms_export_error(int32_t reserved) {
  (void)reserved;
  ms_bytes text = ms_last_error;
  ms_last_error = (ms_bytes){0, 0};
  return text.data == 0 ? 0 : ms_host_copy(text);
}

// Loads the input.
MS_FN ms_call ms_load_call(void) {
  if (!ms_is_announced) ms_begin();
  uint32_t size = ms_host_len();
  if (size < 4) ms_fail("the host gives less input than a height");
  uint8_t *input = ms_host_buffer(size);
  ms_host_load_input(input);
  ms_bytes all = {input, size};
  return (ms_call){(uint32_t)ms_little_endian(ms_slice(all, 0, 4)), ms_slice(all, 4, size)};
}

// An answer.
MS_FN ms_answer ms_ok(ms_bytes bytes) { return (ms_answer){bytes, false}; }

// An error: the caller gets this text in UTF-8, and the guest goes on. A host that knows no such errors ends the call
// with the text.
MS_FN ms_answer ms_error(ms_bytes text) { return (ms_answer){text, true}; }

// What the host gets for an answer.
MS_FN const void *ms_give(ms_answer answer) {
  if (!answer.is_error) return ms_host_copy(answer.bytes);
  if (!ms_is_announced) ms_fail_with(answer.bytes.data, answer.bytes.size);
  ms_last_error = answer.bytes.data == 0 ? ms_text("") : answer.bytes;
  return 0;
}

// Defines what is done with a block: `METASHREW_BLOCK { … }`, in which `height` and `block` are known. What was set is
// handed to the host at its end.
#define METASHREW_BLOCK                                                                    \
  static void ms_index_block(uint32_t height, ms_bytes block);                             \
  MS_EXPORT("_start") void ms_export_start(void) {                                         \
    ms_call call = ms_load_call();                                                         \
    ms_index_block(call.height, call.bytes);                                               \
    ms_flush();                                                                            \
  }                                                                                        \
  static void ms_index_block(__attribute__((unused)) uint32_t height, __attribute__((unused)) ms_bytes block)

// Defines a view: `METASHREW_VIEW(name) { … return ms_ok(…); }`, in which `height` and `input` are known.
#define METASHREW_VIEW(name)                                                               \
  static ms_answer ms_view_##name(uint32_t height, ms_bytes input);                      \
  MS_EXPORT(#name) const void *ms_export_view_##name(void) {                               \
    ms_call call = ms_load_call();                                                         \
    return ms_give(ms_view_##name(call.height, call.bytes));                               \
  }                                                                                        \
  static ms_answer ms_view_##name(__attribute__((unused)) uint32_t height, __attribute__((unused)) ms_bytes input)

// Promises that the answers and errors of a view follow from the state and its input alone, whatever the height: the
// view does not use `height`. A host that tells its clients when an answer changes then runs the view again only where
// what it had read was written.
#define METASHREW_HEIGHT_INDEPENDENT(name)                                                 \
  MS_EXPORT("__metashrew_height_independent." #name) void ms_export_height_independent_##name(void) {}

// A view, as `metashrew inspect` shows it.
typedef struct {
  const char *name, *input, *output, *doc;
} ms_view_description;

MS_FN const void *ms_describe(const char *name, const char *version, const ms_view_description *views, size_t count) {
  ms_writer message = {0};
  ms_put_field(&message, 1, ms_text("clang " __clang_version__));
  ms_put_field(&message, 4, ms_text(name));
  ms_put_field(&message, 5, ms_text(version));
  for (size_t i = 0; i < count; i++) {
    ms_writer view = {0};
    ms_put_field(&view, 1, ms_text(views[i].name));
    ms_put_field(&view, 2, ms_text(views[i].input));
    ms_put_field(&view, 3, ms_text(views[i].output));
    if (views[i].doc != 0) ms_put_field(&view, 4, ms_text(views[i].doc));
    ms_put_field(&message, 3, ms_written(&view));
  }
  return ms_host_copy(ms_written(&message));
}

// Says what the guest is: its name, its version, and each view as `{"name", "input", "output", "what it is for"}`.
#define METASHREW_META(name, version, ...)                                                 \
  MS_EXPORT("__meta") const void *ms_export_meta(void) {                                   \
    static const ms_view_description views[] = {__VA_ARGS__};                              \
    return ms_describe(name, version, views, sizeof views / sizeof *views);                \
  }

#endif

// Metashrew guests in C: freestanding C11, no libc.
//
// A guest is one translation unit, which includes this file:
//
//     #include "metashrew.h"
//
//     METASHREW_BLOCK {  // `uint32_t height`, `ms_bytes block`
//       ms_block parsed = ms_parse_block(block);
//       ms_set_u64(ms_text("/transactions"), ms_get_u64(ms_text("/transactions")) + parsed.count);
//     }
//
//     METASHREW_VIEW(transactions) {  // `uint32_t height`, `ms_bytes input`
//       ms_writer answer = {0};
//       ms_put_decimal(&answer, ms_get_u64(ms_text("/transactions")));
//       return ms_ok(ms_written(&answer));
//     }
//
//     METASHREW_META("counter", "0.1.0", {"transactions", "nothing", "a number", "How many there were."})
//
// and is built with
//
//     clang --target=wasm32 -std=c11 -O2 -mbulk-memory -ffreestanding -nostdlib -I sdk/c
//       -Wl,--no-entry -Wl,--stack-first -o counter.wasm counter.c
//
// Memory comes from one arena, `ms_alloc`; all of it is given back where the next call begins, so nothing is
// freed and nothing may be kept from one call to the next.
#ifndef METASHREW_H
#define METASHREW_H

#include "metashrew/memory.h"
#include "metashrew/host.h"
#include "metashrew/bytes.h"
#include "metashrew/writer.h"
#include "metashrew/state.h"
#include "metashrew/range.h"
#include "metashrew/sha256.h"
#include "metashrew/script.h"
#include "metashrew/block.h"
#include "metashrew/json.h"
#include "metashrew/call.h"

#endif

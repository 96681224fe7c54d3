// `payments`: what was ever paid to a script, and how much of it was data.
//
// State: `s` and the SHA-256 of a script: how many outputs had it, and their satoshi (two u64, little-endian); `t`:
// the same of all outputs; `d`: the same of those that nobody can spend.

#include "metashrew.h"

typedef struct {
  uint64_t outputs, value;
} sums;

static sums read_sums(ms_bytes key) {
  ms_bytes kept = ms_get(key);
  if (kept.size == 0) return (sums){0, 0};
  return (sums){ms_little_endian(ms_slice(kept, 0, 8)), ms_little_endian(ms_slice(kept, 8, 8))};
}

static void add(ms_bytes key, uint64_t value) {
  sums sums = read_sums(key);
  ms_writer kept = {0};
  ms_put_le(&kept, sums.outputs + 1, 8);
  ms_put_le(&kept, sums.value + value, 8);
  ms_set(key, ms_written(&kept));
}

static ms_bytes script_key(ms_bytes script) {
  ms_writer key = {0};
  ms_hash hash = ms_sha256(script);
  ms_put_text(&key, "s");
  ms_put(&key, MS_BYTES_OF(hash));
  return ms_written(&key);
}

METASHREW_BLOCK {
  ms_block parsed = ms_parse_block(block);
  ms_tx tx;
  for (ms_txs txs = ms_txs_of(&parsed); ms_next_tx(&txs, &tx);) {
    ms_output output;
    for (ms_outputs outputs = ms_outputs_of(&tx); ms_next_output(&outputs, &output);) {
      add(script_key(output.script), output.value);
      add(ms_text("t"), output.value);
      if (ms_is_unspendable(output.script)) add(ms_text("d"), output.value);
    }
  }
}

static void put_sums(ms_writer *answer, sums sums) {
  ms_put_text(answer, "\"outputs\":");
  ms_put_decimal(answer, sums.outputs);
  ms_put_text(answer, ",\"value\":");
  ms_put_decimal(answer, sums.value);
}

static ms_writer answer_at(uint32_t height) {
  ms_writer answer = {0};
  ms_put_text(&answer, "{\"height\":");
  ms_put_decimal(&answer, height);
  ms_put_text(&answer, ",");
  return answer;
}

METASHREW_VIEW(received) {
  ms_json question = ms_json_parse(input);
  bool is_named = ms_json_has(&question, "script");
  ms_bytes hex = ms_json_text(&question, "script", ms_text(""));
  if (ms_json_end(&question)) return ms_error(question.mistake);
  if (!is_named) return ms_error(ms_text("bad input: want {\"script\": hex}"));
  ms_bytes script;
  if (!ms_from_hex(hex, &script)) return ms_error(ms_text("bad input: `script` is no hex"));
  ms_writer answer = answer_at(height);
  put_sums(&answer, read_sums(script_key(script)));
  ms_put_text(&answer, "}");
  return ms_ok(ms_written(&answer));
}

METASHREW_VIEW(totals) {
  ms_json question = ms_json_parse(input);
  if (ms_json_end(&question)) return ms_error(question.mistake);
  ms_writer answer = answer_at(height);
  put_sums(&answer, read_sums(ms_text("t")));
  ms_put_text(&answer, ",\"unspendable\":{");
  put_sums(&answer, read_sums(ms_text("d")));
  ms_put_text(&answer, "}}");
  return ms_ok(ms_written(&answer));
}

METASHREW_META("payments", "0.1.0",
               {"received", "{\"script\"}", "{\"height\",\"outputs\",\"value\"}",
                "How many outputs ever had a script, in hex, and of how many satoshi."},
               {"totals", "{}", "{\"height\",\"outputs\",\"value\",\"unspendable\"}",
                "The same of all outputs, and of those that nobody can spend."})

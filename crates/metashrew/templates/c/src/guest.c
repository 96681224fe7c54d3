// Balances of every script on a Bitcoin chain: what is stored, what a block changes, and what can be asked.
//
// `b` and the SHA-256 of a script: what the script has, in satoshi (u64, the lowest byte first).
// `o` and an outpoint (36 bytes, as inputs have it): an unspent output's value, likewise, and the SHA-256 of its
// script.

#include "metashrew.h"

enum { SATOSHI_BYTES = 8 };

// A key: a letter, which tells what is kept there, and what follows it.
static ms_bytes key_of(const char *space, ms_bytes rest) {
  ms_writer key = {0};
  ms_put_text(&key, space);
  ms_put(&key, rest);
  return ms_written(&key);
}

// Takes an output away, if it is known: a coinbase spends none.
static void spend(ms_bytes outpoint) {
  ms_bytes key = key_of("o", outpoint);
  ms_bytes output = ms_get(key);
  if (output.size == 0) return;
  uint64_t satoshi = ms_little_endian(ms_slice(output, 0, SATOSHI_BYTES));
  ms_bytes balance = key_of("b", ms_slice(output, SATOSHI_BYTES, output.size));
  ms_set_u64(balance, ms_get_u64(balance) - satoshi);
  ms_set(key, (ms_bytes){0, 0});
}

// Adds an output to its script's balance.
static void create(ms_bytes outpoint, const ms_output *output) {
  // Two old coinbases (in blocks 91,842 and 91,880) are those of earlier blocks again, whose outputs are lost.
  spend(outpoint);
  ms_hash script_hash = ms_sha256(output->script);
  ms_writer kept = {0};
  ms_put_le(&kept, output->value, SATOSHI_BYTES);
  ms_put(&kept, MS_BYTES_OF(script_hash));
  ms_set(key_of("o", outpoint), ms_written(&kept));
  ms_bytes balance = key_of("b", MS_BYTES_OF(script_hash));
  ms_set_u64(balance, ms_get_u64(balance) + output->value);
}

static void index(const ms_tx *tx) {
  ms_input input;
  for (ms_inputs inputs = ms_inputs_of(tx); ms_next_input(&inputs, &input);) spend(input.outpoint);
  ms_hash txid = ms_txid(tx);
  uint32_t vout = 0;
  ms_output output;
  for (ms_outputs outputs = ms_outputs_of(tx); ms_next_output(&outputs, &output); vout++) {
    // Nobody can spend these.
    if (ms_is_unspendable(output.script)) continue;
    ms_writer outpoint = {0};
    ms_put(&outpoint, MS_BYTES_OF(txid));
    ms_put_le(&outpoint, vout, 4);
    create(ms_written(&outpoint), &output);
  }
}

// Indexes a block. Reads see what the block wrote before. All of it is kept, or, after an error, nothing: an error
// stops the indexer, so it is for what cannot be, and not for what somebody may write to the chain.
METASHREW_BLOCK {
  ms_block parsed = ms_parse_block(block);
  ms_tx tx;
  for (ms_txs txs = ms_txs_of(&parsed); ms_next_tx(&txs, &tx);) index(&tx);
}

// `{"script": hex}`: what the script has, in satoshi, after the block that is asked about.
METASHREW_VIEW(balance) {
  ms_json question = ms_json_parse(input);
  bool is_named = ms_json_has(&question, "script");
  ms_bytes hex = ms_json_text(&question, "script", ms_text(""));
  // An error is the caller's answer; the guest goes on.
  if (ms_json_end(&question)) return ms_error(question.mistake);
  if (!is_named) return ms_error(ms_text("bad input: want {\"script\": hex}"));
  ms_bytes script;
  if (!ms_from_hex(hex, &script)) return ms_error(ms_text("bad input: `script` is no hex"));
  ms_hash script_hash = ms_sha256(script);
  ms_writer answer = {0};
  ms_put_text(&answer, "{\"height\":");
  ms_put_decimal(&answer, height);
  ms_put_text(&answer, ",\"satoshi\":");
  ms_put_decimal(&answer, ms_get_u64(key_of("b", MS_BYTES_OF(script_hash))));
  ms_put_text(&answer, "}");
  return ms_ok(ms_written(&answer));
}

// What the guest says of itself: `metashrew inspect` shows it.
METASHREW_META("{{name}}", "0.1.0", {"balance", "{\"script\"}", "{\"height\",\"satoshi\"}", "What a script, in hex, has."})

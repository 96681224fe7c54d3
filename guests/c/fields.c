// `fields`: tells all that the SDK for C reads of a block, so that tests compare it with what others read, and keeps
// sums in a state by all ways of reading and writing it. `guests/assemblyscript/assembly/fields.ts` does the same.

#include "metashrew.h"

static void put_instructions(ms_writer *out, ms_bytes script) {
  ms_instruction instruction;
  ms_bytes left = script;
  while (ms_next_instruction(&left, &instruction)) {
    ms_put_byte(out, instruction.is_push ? 0 : 1);
    if (instruction.is_push) {
      ms_put_part(out, instruction.push);
    } else {
      ms_put_byte(out, instruction.op);
    }
  }
  ms_put_byte(out, left.size == 0 ? 2 : 3);
}

static void put_input(ms_writer *out, const ms_input *input) {
  ms_put(out, ms_slice(input->outpoint, 0, 32));
  ms_put_le(out, input->vout, 4);
  ms_put_part(out, input->script);
  put_instructions(out, input->script);
  ms_put_le(out, input->sequence, 4);
  ms_witness witness = input->witness;
  ms_bytes item;
  while (ms_next_item(&witness, &item)) {
    ms_put_byte(out, 1);
    ms_put_part(out, item);
  }
  ms_put_byte(out, 0);
}

static void put_output(ms_writer *out, const ms_output *output) {
  ms_put_le(out, output->value, 8);
  ms_put_part(out, output->script);
  put_instructions(out, output->script);
  ms_put_byte(out, (uint8_t)ms_type_of_script(output->script));
  ms_put_byte(out, ms_is_unspendable(output->script));
}

static void put_transaction(ms_writer *out, const ms_tx *tx) {
  ms_put_le(out, (uint32_t)ms_tx_version(tx), 4);
  ms_put_le(out, ms_tx_lock_time(tx), 4);
  ms_put_le(out, tx->bytes.size, 4);
  ms_put_le(out, ms_tx_weight(tx), 4);
  ms_put_byte(out, (uint8_t)(ms_tx_has_witness(tx) | ms_tx_is_coinbase(tx) << 1));
  ms_hash txid = ms_txid(tx), wtxid = ms_wtxid(tx);
  ms_put(out, MS_BYTES_OF(txid));
  ms_put(out, MS_BYTES_OF(wtxid));
  ms_put_le(out, tx->input_count, 4);
  ms_inputs inputs = ms_inputs_of(tx);
  ms_input input;
  while (ms_next_input(&inputs, &input)) put_input(out, &input);
  ms_put_le(out, tx->output_count, 4);
  ms_outputs outputs = ms_outputs_of(tx);
  ms_output output;
  while (ms_next_output(&outputs, &output)) put_output(out, &output);
}

// All fields of the block that is asked with.
METASHREW_VIEW(fields) {
  ms_block block;
  ms_bytes error;
  if (!ms_check_block(input, &block, &error)) return ms_error(error);
  ms_writer out = {0};
  ms_put_le(&out, (uint32_t)ms_block_version(&block), 4);
  ms_put(&out, ms_block_previous(&block));
  ms_put(&out, ms_block_merkle_root(&block));
  ms_put_le(&out, ms_block_time(&block), 4);
  ms_put_le(&out, ms_block_bits(&block), 4);
  ms_put_le(&out, ms_block_nonce(&block), 4);
  ms_hash hash = ms_block_hash(&block);
  ms_put(&out, MS_BYTES_OF(hash));
  ms_put_le(&out, block.count, 4);
  ms_txs txs = ms_txs_of(&block);
  ms_tx tx;
  while (ms_next_tx(&txs, &tx)) put_transaction(&out, &tx);
  return ms_ok(ms_written(&out));
}

// Reads the block that is asked with as a guest does that is sure of it: no block ends the call.
METASHREW_VIEW(count) {
  ms_block block = ms_parse_block(input);
  return ms_ok(MS_BYTES_OF(block.count));
}

// The question's fields `number`, `text` and `flag`, or what is wrong with it.
METASHREW_VIEW(question) {
  ms_json question = ms_json_parse(input);
  uint64_t number = ms_json_u64(&question, "number", 7);
  ms_bytes text = ms_json_text(&question, "text", ms_text("none"));
  bool flag = ms_json_bool(&question, "flag", false);
  if (ms_json_end(&question)) return ms_error(question.mistake);
  ms_writer answer = {0};
  ms_put_text(&answer, "{\"number\":");
  ms_put_decimal(&answer, number);
  ms_put_text(&answer, ",\"text\":");
  ms_put_json_text(&answer, text);
  ms_put_text(&answer, flag ? ",\"flag\":true}" : ",\"flag\":false}");
  return ms_ok(ms_written(&answer));
}

static ms_bytes key_of(const char *space, ms_bytes rest) {
  ms_writer key = {0};
  ms_put_text(&key, space);
  ms_put(&key, rest);
  return ms_written(&key);
}

// The digest of all entries of a range, read page by page, under a key of the height.
static void keep_range(uint32_t height, const char *space, ms_range range) {
  ms_writer seen = {0};
  for (;;) {
    ms_page page = ms_read_page(&range);
    for (size_t i = 0; i < page.count; i++) {
      ms_put_part(&seen, page.entries[i].key);
      ms_put_part(&seen, page.entries[i].value);
    }
    if (!page.has_more) break;
    ms_after(&range, page.entries[page.count - 1].key);
  }
  ms_writer key = {0};
  ms_put_text(&key, space);
  ms_put_be(&key, height, 4);
  ms_hash digest = ms_sha256(ms_written(&seen));
  ms_set(ms_written(&key), MS_BYTES_OF(digest));
}

// What outputs pay to each script, under `o/` and the script. Every third transaction takes away the sum of its
// first output's script. Halfway, what was set is flushed.
METASHREW_BLOCK {
  ms_block parsed = ms_parse_block(block);
  ms_bytes *keys = ms_alloc(block.size / 9 * sizeof *keys);
  size_t count = 0;
  uint64_t number = 0;
  ms_tx tx;
  for (ms_txs txs = ms_txs_of(&parsed); ms_next_tx(&txs, &tx); number++) {
    ms_output output;
    ms_bytes first = {0, 0};
    for (ms_outputs outputs = ms_outputs_of(&tx); ms_next_output(&outputs, &output);) {
      ms_bytes key = keys[count++] = key_of("o/", output.script);
      if (first.size == 0) first = key;
      ms_set_u64(key, ms_get_u64(key) + output.value);
    }
    if (number % 3 == 2 && first.size > 0) ms_set(first, (ms_bytes){0, 0});
    if (number == parsed.count / 2) ms_flush();
  }
  uint32_t limit = count / 10 < 7 ? 7 : (uint32_t)(count / 10);
  ms_range range = ms_prefix(ms_text("o/"), limit);
  keep_range(height, "f/", range);
  range.is_reverse = true;
  keep_range(height, "r/", range);
  range.is_keys_only = true;
  keep_range(height, "k/", range);

  ms_bytes *values = ms_alloc(count * sizeof *values);
  ms_get_many(keys, count, values);
  ms_writer seen = {0};
  for (size_t i = 0; i < count; i++) ms_put_part(&seen, values[i]);
  ms_writer key = {0};
  ms_put_text(&key, "m/");
  ms_put_be(&key, height, 4);
  ms_hash digest = ms_sha256(ms_written(&seen));
  ms_set(ms_written(&key), MS_BYTES_OF(digest));
}

METASHREW_HEIGHT_INDEPENDENT(fields)
METASHREW_HEIGHT_INDEPENDENT(count)
METASHREW_HEIGHT_INDEPENDENT(question)

METASHREW_META("fields_c", "0.1.0",
               {"fields", "a block", "its fields", "What the SDK reads of a block."},
               {"count", "a block", "8 bytes", "How many transactions it has."},
               {"question", "{\"number\",\"text\",\"flag\"}", "the same", "What the SDK reads of a \"question\",\n\tand \\ é😀."})

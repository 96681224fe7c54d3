// Blocks, read in place: scripts and witnesses are parts of the block's bytes.
//
//     ms_block parsed = ms_parse_block(block);
//     ms_tx tx;
//     for (ms_txs txs = ms_txs_of(&parsed); ms_next_tx(&txs, &tx);) {
//       ms_input input;
//       for (ms_inputs inputs = ms_inputs_of(&tx); ms_next_input(&inputs, &input);) …
//       ms_output output;
//       for (ms_outputs outputs = ms_outputs_of(&tx); ms_next_output(&outputs, &output);) …
//     }
//
// The encoding is checked once, as Bitcoin Core does; the rules of consensus are not.
#ifndef METASHREW_BLOCK_H
#define METASHREW_BLOCK_H

#include "script.h"
#include "sha256.h"
#include "writer.h"

// What keeps bytes from being a block.
typedef enum { MS_SOUND, MS_SHORT, MS_WITNESS_FLAG, MS_NO_WITNESS, MS_NON_MINIMAL } ms_flaw;

// A position in encoded bytes that moves forward. The first flaw stays, and what is read after it is 0.
typedef struct {
  const uint8_t *at, *end;
  ms_flaw flaw;
} ms_cursor;

typedef ms_cursor ms_txs, ms_outputs, ms_witness;

typedef struct {
  ms_bytes bytes;     // As consensus encodes it.
  const uint8_t *header;  // 80 bytes.
  uint64_t count;     // How many transactions there are; the first is the coinbase.
  const uint8_t *first;
} ms_block;

typedef struct {
  ms_bytes bytes;  // With the witnesses.
  ms_bytes body;   // Inputs and outputs, with their counts.
  uint64_t input_count, output_count;
  const uint8_t *inputs, *inputs_end, *outputs, *witnesses;
} ms_tx;

typedef struct {
  ms_bytes outpoint;   // 36 bytes: the txid of what it spends, in the byte order of hashing, and the number.
  uint32_t vout;       // That number.
  ms_bytes script;     // The unlocking script.
  uint32_t sequence;
  ms_witness witness;  // Its items: `ms_next_item`.
} ms_input;

typedef struct {
  uint64_t value;   // Satoshi.
  ms_bytes script;  // The locking script.
} ms_output;

// Inputs, and their witnesses beside them.
typedef struct {
  ms_cursor inputs, witnesses;
} ms_inputs;

MS_FN ms_bytes ms_take(ms_cursor *cursor, uint64_t size) {
  if (cursor->flaw != MS_SOUND) return (ms_bytes){cursor->at, 0};
  if (size > (uint64_t)(cursor->end - cursor->at)) {
    cursor->flaw = MS_SHORT;
    return (ms_bytes){cursor->at, 0};
  }
  cursor->at += size;
  return (ms_bytes){cursor->at - size, (size_t)size};
}

MS_FN uint64_t ms_take_number(ms_cursor *cursor, size_t size) { return ms_little_endian(ms_take(cursor, size)); }

// A count or a length, in as few bytes as it needs.
MS_FN uint64_t ms_take_count(ms_cursor *cursor) {
  uint64_t first = ms_take_number(cursor, 1);
  if (first < 0xfd) return first;
  uint64_t least = first == 0xfd ? 0xfd : first == 0xfe ? 0x10000 : 0x100000000;
  uint64_t count = ms_take_number(cursor, (size_t)1 << (first - 0xfc));
  if (cursor->flaw == MS_SOUND && count < least) cursor->flaw = MS_NON_MINIMAL;
  return cursor->flaw == MS_SOUND ? count : 0;
}

MS_FN ms_bytes ms_take_sized(ms_cursor *cursor) { return ms_take(cursor, ms_take_count(cursor)); }

MS_FN bool ms_is_at_end(const ms_cursor *cursor) { return cursor->flaw != MS_SOUND || cursor->at == cursor->end; }

MS_FN void ms_take_input(ms_cursor *cursor, ms_input *input) {
  input->outpoint = ms_take(cursor, 36);
  input->vout = (uint32_t)ms_little_endian(ms_slice(input->outpoint, 32, 4));
  input->script = ms_take_sized(cursor);
  input->sequence = (uint32_t)ms_take_number(cursor, 4);
  input->witness = (ms_witness){cursor->at, cursor->at, MS_SOUND};
}

MS_FN void ms_take_output(ms_cursor *cursor, ms_output *output) {
  output->value = ms_take_number(cursor, 8);
  output->script = ms_take_sized(cursor);
}

// Takes a witness, of which the items are kept, without their count.
MS_FN ms_witness ms_take_witness(ms_cursor *cursor) {
  uint64_t count = ms_take_count(cursor);
  const uint8_t *start = cursor->at;
  for (uint64_t i = 0; i < count && cursor->flaw == MS_SOUND; i++) ms_take_sized(cursor);
  return (ms_witness){start, cursor->at, MS_SOUND};
}

// Takes a transaction, which is whole only if the cursor is sound afterwards.
MS_FN void ms_take_tx(ms_cursor *cursor, ms_tx *tx) {
  const uint8_t *start = cursor->at;
  ms_take(cursor, 4);
  const uint8_t *body = cursor->at;
  tx->input_count = ms_take_count(cursor);
  bool is_segwit = cursor->flaw == MS_SOUND && tx->input_count == 0;
  if (is_segwit) {
    uint64_t flag = ms_take_number(cursor, 1);
    if (cursor->flaw == MS_SOUND && flag != 1) cursor->flaw = MS_WITNESS_FLAG;
    body = cursor->at;
    tx->input_count = ms_take_count(cursor);
  }
  tx->inputs = cursor->at;
  ms_input input;
  for (uint64_t i = 0; i < tx->input_count && cursor->flaw == MS_SOUND; i++) ms_take_input(cursor, &input);
  tx->inputs_end = cursor->at;
  tx->output_count = ms_take_count(cursor);
  tx->outputs = cursor->at;
  ms_output output;
  for (uint64_t i = 0; i < tx->output_count && cursor->flaw == MS_SOUND; i++) ms_take_output(cursor, &output);
  tx->body = (ms_bytes){body, (size_t)(cursor->at - body)};
  tx->witnesses = cursor->at;
  if (is_segwit) {
    bool is_empty = true;
    for (uint64_t i = 0; i < tx->input_count && cursor->flaw == MS_SOUND; i++) {
      ms_witness witness = ms_take_witness(cursor);
      if (witness.at != witness.end) is_empty = false;
    }
    if (cursor->flaw == MS_SOUND && is_empty && tx->input_count > 0) cursor->flaw = MS_NO_WITNESS;
  }
  ms_take(cursor, 4);
  tx->bytes = (ms_bytes){start, (size_t)(cursor->at - start)};
}

MS_FN ms_bytes ms_describe_flaw(ms_bytes block, const ms_cursor *cursor) {
  ms_writer text = {0};
  switch (cursor->flaw) {
    case MS_WITNESS_FLAG:
      ms_put_text(&text, "a transaction has witness flag ");
      ms_put_decimal(&text, cursor->at[-1]);
      ms_put_text(&text, "; only 1 is known");
      break;
    case MS_NO_WITNESS:
      ms_put_text(&text, "a transaction is encoded with witnesses but has none");
      break;
    case MS_NON_MINIMAL:
      ms_put_text(&text, "a count or a length is written in more bytes than it needs");
      break;
    case MS_SHORT:
      ms_put_text(&text, "the block ends after ");
      ms_put_decimal(&text, block.size);
      ms_put_text(&text, " bytes, inside a value");
      break;
    case MS_SOUND:
      ms_put_text(&text, "the block is followed by ");
      ms_put_decimal(&text, (uint64_t)(cursor->end - cursor->at));
      ms_put_text(&text, " bytes");
  }
  return ms_written(&text);
}

// Reads a block. If the bytes are none, `error` is why, and the answer is false.
MS_FN bool ms_check_block(ms_bytes bytes, ms_block *block, ms_bytes *error) {
  ms_cursor cursor = {bytes.data, bytes.data + bytes.size, MS_SOUND};
  block->bytes = bytes;
  block->header = ms_take(&cursor, 80).data;
  block->count = ms_take_count(&cursor);
  block->first = cursor.at;
  ms_tx tx;
  for (uint64_t i = 0; i < block->count && cursor.flaw == MS_SOUND; i++) ms_take_tx(&cursor, &tx);
  if (cursor.flaw == MS_SOUND && cursor.at == cursor.end) return true;
  *error = ms_describe_flaw(bytes, &cursor);
  return false;
}

// Reads a block. If the bytes are none, the call ends with a message.
MS_FN ms_block ms_parse_block(ms_bytes bytes) {
  ms_block block;
  ms_bytes error;
  if (!ms_check_block(bytes, &block, &error)) ms_fail_with(error.data, error.size);
  return block;
}

MS_FN uint32_t ms_header_u32(const ms_block *block, size_t at) {
  return (uint32_t)ms_little_endian((ms_bytes){block->header + at, 4});
}
MS_FN int32_t ms_block_version(const ms_block *block) { return (int32_t)ms_header_u32(block, 0); }
MS_FN ms_bytes ms_block_previous(const ms_block *block) { return (ms_bytes){block->header + 4, 32}; }
MS_FN ms_bytes ms_block_merkle_root(const ms_block *block) { return (ms_bytes){block->header + 36, 32}; }
// Seconds since 1970, as the miner says.
MS_FN uint32_t ms_block_time(const ms_block *block) { return ms_header_u32(block, 68); }
MS_FN uint32_t ms_block_bits(const ms_block *block) { return ms_header_u32(block, 72); }
MS_FN uint32_t ms_block_nonce(const ms_block *block) { return ms_header_u32(block, 76); }
// In the byte order of hashing: `ms_put_hash` shows it as people read it.
MS_FN ms_hash ms_block_hash(const ms_block *block) { return ms_sha256d((ms_bytes){block->header, 80}); }

// All transactions of a block.
MS_FN ms_txs ms_txs_of(const ms_block *block) {
  return (ms_txs){block->first, block->bytes.data + block->bytes.size, MS_SOUND};
}
MS_FN bool ms_next_tx(ms_txs *txs, ms_tx *tx) {
  if (ms_is_at_end(txs)) return false;
  ms_take_tx(txs, tx);
  return true;
}

// What a transaction spends.
MS_FN ms_inputs ms_inputs_of(const ms_tx *tx) {
  const uint8_t *end = tx->bytes.data + tx->bytes.size - 4;
  ms_cursor inputs = {tx->inputs, tx->inputs_end, MS_SOUND}, witnesses = {tx->witnesses, end, MS_SOUND};
  return (ms_inputs){inputs, witnesses};
}
MS_FN bool ms_next_input(ms_inputs *inputs, ms_input *input) {
  if (ms_is_at_end(&inputs->inputs)) return false;
  ms_take_input(&inputs->inputs, input);
  if (!ms_is_at_end(&inputs->witnesses)) input->witness = ms_take_witness(&inputs->witnesses);
  return true;
}
// The next item of an input's witness.
MS_FN bool ms_next_item(ms_witness *witness, ms_bytes *item) {
  if (ms_is_at_end(witness)) return false;
  *item = ms_take_sized(witness);
  return true;
}
// Whether it spends nothing, as a coinbase's only input.
MS_FN bool ms_is_coinbase_input(const ms_input *input) {
  static const uint8_t none[32] = {0};
  return input->vout == UINT32_MAX && memcmp(input->outpoint.data, none, 32) == 0;
}

// What a transaction creates.
MS_FN ms_outputs ms_outputs_of(const ms_tx *tx) { return (ms_outputs){tx->outputs, tx->witnesses, MS_SOUND}; }
MS_FN bool ms_next_output(ms_outputs *outputs, ms_output *output) {
  if (ms_is_at_end(outputs)) return false;
  ms_take_output(outputs, output);
  return true;
}

// The length without the witnesses.
MS_FN size_t ms_tx_base_size(const ms_tx *tx) { return tx->body.size + 8; }
// What it takes of a block's 4,000,000.
MS_FN size_t ms_tx_weight(const ms_tx *tx) { return 3 * ms_tx_base_size(tx) + tx->bytes.size; }
// Whether it is encoded with witnesses.
MS_FN bool ms_tx_has_witness(const ms_tx *tx) { return ms_tx_base_size(tx) != tx->bytes.size; }
MS_FN int32_t ms_tx_version(const ms_tx *tx) { return (int32_t)ms_little_endian(ms_slice(tx->bytes, 0, 4)); }
MS_FN uint32_t ms_tx_lock_time(const ms_tx *tx) {
  return (uint32_t)ms_little_endian(ms_slice(tx->bytes, tx->bytes.size - 4, 4));
}
// Whether it creates the block's new coins.
MS_FN bool ms_tx_is_coinbase(const ms_tx *tx) {
  ms_inputs inputs = ms_inputs_of(tx);
  ms_input input;
  return tx->input_count == 1 && ms_next_input(&inputs, &input) && ms_is_coinbase_input(&input);
}

// The hash of all its bytes.
MS_FN ms_hash ms_wtxid(const ms_tx *tx) { return ms_sha256d(tx->bytes); }

// Its id, in the byte order of hashing: `ms_put_hash` shows it as people read it.
MS_FN ms_hash ms_txid(const ms_tx *tx) {
  if (!ms_tx_has_witness(tx)) return ms_wtxid(tx);
  ms_sha256_state hash = ms_sha256_start();
  ms_sha256_update(&hash, ms_slice(tx->bytes, 0, 4));
  ms_sha256_update(&hash, tx->body);
  ms_sha256_update(&hash, ms_slice(tx->bytes, tx->bytes.size - 4, 4));
  ms_hash once = ms_sha256_finish(&hash);
  return ms_sha256(MS_BYTES_OF(once));
}

#endif

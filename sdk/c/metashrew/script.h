// What scripts say.
#ifndef METASHREW_SCRIPT_H
#define METASHREW_SCRIPT_H

#include "bytes.h"

// The standard forms of locking scripts.
typedef enum {
  MS_OTHER,
  MS_P2PK,  // To a public key itself.
  MS_P2PKH,
  MS_P2SH,
  MS_P2WPKH,
  MS_P2WSH,
  MS_P2TR,
  MS_WITNESS,    // A witness program of a version or a length without a meaning yet.
  MS_OP_RETURN,  // Data: what follows the first byte.
} ms_script_type;

enum {
  MS_OP_PUSHDATA1 = 0x4c,
  MS_OP_PUSHDATA4 = 0x4e,
  MS_OP_1 = 0x51,
  MS_OP_16 = 0x60,
  MS_OP_RETURN_CODE = 0x6a,
  MS_OP_DUP = 0x76,
  MS_OP_EQUAL = 0x87,
  MS_OP_EQUALVERIFY = 0x88,
  MS_OP_HASH160 = 0xa9,
  MS_OP_CHECKSIG = 0xac,
  MS_MAX_SCRIPT_BYTES = 10000,
};

// Whether a script is the push of a public key, and one operation behind it.
MS_FN bool ms_is_key_and_op(ms_bytes script) {
  const uint8_t *s = script.data;
  if (script.size == 35 && s[0] == 33) return s[1] == 2 || s[1] == 3;
  if (script.size == 67 && s[0] == 65) return s[1] == 4 || s[1] == 6 || s[1] == 7;
  return false;
}

MS_FN ms_script_type ms_type_of_script(ms_bytes script) {
  const uint8_t *s = script.data;
  size_t size = script.size;
  if (size == 0) return MS_OTHER;
  uint8_t last = s[size - 1];
  bool is_hash_of_key = size == 25 && s[0] == MS_OP_DUP && s[1] == MS_OP_HASH160 && s[2] == 20;
  if (is_hash_of_key && s[23] == MS_OP_EQUALVERIFY && last == MS_OP_CHECKSIG) return MS_P2PKH;
  if (size == 23 && s[0] == MS_OP_HASH160 && s[1] == 20 && last == MS_OP_EQUAL) return MS_P2SH;
  if (s[0] == MS_OP_RETURN_CODE) return MS_OP_RETURN;
  if (last == MS_OP_CHECKSIG && ms_is_key_and_op(script)) return MS_P2PK;
  if (size < 4 || size > 42 || s[1] != size - 2) return MS_OTHER;
  if (s[0] == 0) return size == 22 ? MS_P2WPKH : size == 34 ? MS_P2WSH : MS_WITNESS;
  if (s[0] < MS_OP_1 || s[0] > MS_OP_16) return MS_OTHER;
  return s[0] == MS_OP_1 && size == 34 ? MS_P2TR : MS_WITNESS;
}

// Whether nobody can ever spend an output with this script.
MS_FN bool ms_is_unspendable(ms_bytes script) {
  return (script.size > 0 && script.data[0] == MS_OP_RETURN_CODE) || script.size > MS_MAX_SCRIPT_BYTES;
}

// A push or an operation of a script.
typedef struct {
  uint8_t op;  // Of a push, what says how long it is.
  bool is_push;
  ms_bytes push;
} ms_instruction;

// Takes the next one off the front of a script; false at the end, where `script` is empty, and where the script
// ends inside a push, where it is not:
// `for (ms_bytes left = output.script; ms_next_instruction(&left, &instruction);)`.
MS_FN bool ms_next_instruction(ms_bytes *script, ms_instruction *instruction) {
  if (script->size == 0) return false;
  uint8_t op = script->data[0];
  ms_bytes left = ms_slice(*script, 1, script->size);
  *instruction = (ms_instruction){.op = op};
  if (op <= MS_OP_PUSHDATA4) {
    size_t size = op;
    if (op >= MS_OP_PUSHDATA1) {
      size_t width = (size_t)1 << (op - MS_OP_PUSHDATA1);
      if (left.size < width) return false;
      size = (size_t)ms_little_endian(ms_slice(left, 0, width));
      left = ms_slice(left, width, left.size);
    }
    if (left.size < size) return false;
    instruction->is_push = true;
    instruction->push = ms_slice(left, 0, size);
    left = ms_slice(left, size, left.size);
  }
  *script = left;
  return true;
}

#endif

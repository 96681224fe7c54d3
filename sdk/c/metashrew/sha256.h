// SHA-256 (FIPS 180-4), as ids and hashes of blocks are made.
#ifndef METASHREW_SHA256_H
#define METASHREW_SHA256_H

#include "bytes.h"

typedef struct {
  uint8_t bytes[32];
} ms_hash;

// Hashes bytes that come in pieces. Begins with `ms_sha256_start`.
typedef struct {
  uint32_t state[8];
  uint8_t chunk[64];
  uint64_t size;
} ms_sha256_state;

MS_FN uint32_t ms_rotate(uint32_t word, unsigned by) { return word >> by | word << (32 - by); }

MS_FN uint32_t ms_big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

MS_FN void ms_sha256_compress(uint32_t state[8], const uint8_t *chunk) {
  static const uint32_t k[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
  };
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++) w[i] = ms_big_endian(chunk + 4 * i);
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    uint32_t s0 = ms_rotate(a, 7) ^ ms_rotate(a, 18) ^ a >> 3;
    uint32_t s1 = ms_rotate(b, 17) ^ ms_rotate(b, 19) ^ b >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int i = 0; i < 64; i++) {
    uint32_t s1 = ms_rotate(s[4], 6) ^ ms_rotate(s[4], 11) ^ ms_rotate(s[4], 25);
    uint32_t t1 = s[7] + s1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
    uint32_t s0 = ms_rotate(s[0], 2) ^ ms_rotate(s[0], 13) ^ ms_rotate(s[0], 22);
    uint32_t t2 = s0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    s[7] = s[6], s[6] = s[5], s[5] = s[4], s[4] = s[3] + t1;
    s[3] = s[2], s[2] = s[1], s[1] = s[0], s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

MS_FN ms_sha256_state ms_sha256_start(void) {
  return (ms_sha256_state){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                                     0x1f83d9ab, 0x5be0cd19}};
}

MS_FN void ms_sha256_update(ms_sha256_state *hash, ms_bytes bytes) {
  size_t held = (size_t)(hash->size % 64), from = 0;
  hash->size += bytes.size;
  if (held > 0) {
    from = bytes.size < 64 - held ? bytes.size : 64 - held;
    memcpy(hash->chunk + held, bytes.data, from);
    if (held + from < 64) return;
    ms_sha256_compress(hash->state, hash->chunk);
  }
  for (; bytes.size - from >= 64; from += 64) ms_sha256_compress(hash->state, bytes.data + from);
  memcpy(hash->chunk, bytes.data + from, bytes.size - from);
}

// The hash of all that was added. Nothing can be added afterwards.
MS_FN ms_hash ms_sha256_finish(ms_sha256_state *hash) {
  size_t held = (size_t)(hash->size % 64);
  hash->chunk[held++] = 0x80;
  memset(hash->chunk + held, 0, 64 - held);
  if (held > 56) {
    ms_sha256_compress(hash->state, hash->chunk);
    memset(hash->chunk, 0, 64);
  }
  for (int i = 0; i < 8; i++) hash->chunk[56 + i] = (uint8_t)(hash->size * 8 >> (56 - 8 * i));
  ms_sha256_compress(hash->state, hash->chunk);
  ms_hash made;
  for (int i = 0; i < 32; i++) made.bytes[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
  return made;
}

// The SHA-256 of bytes.
MS_FN ms_hash ms_sha256(ms_bytes bytes) {
  ms_sha256_state hash = ms_sha256_start();
  ms_sha256_update(&hash, bytes);
  return ms_sha256_finish(&hash);
}

// The SHA-256 of the SHA-256 of bytes.
MS_FN ms_hash ms_sha256d(ms_bytes bytes) {
  ms_hash once = ms_sha256(bytes);
  return ms_sha256(MS_BYTES_OF(once));
}

#endif

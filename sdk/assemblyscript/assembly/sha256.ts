// SHA-256 (FIPS 180-4), as ids and hashes of blocks are made.

const K: StaticArray<u32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

const START: StaticArray<u32> = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const CHUNK: i32 = 64;
/** Where the length stands in the last chunk. */
const LENGTH_AT: i32 = 56;

/** The message's schedule, of one chunk at a time. */
const schedule = new StaticArray<u32>(64);

/** The SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Sha256().update(bytes).digest();
}

/** The SHA-256 of the SHA-256 of bytes. */
export function sha256d(bytes: Uint8Array): Uint8Array {
  return sha256(sha256(bytes));
}

/** Hashes bytes that come in pieces. */
export class Sha256 {
  private state: StaticArray<u32> = START.slice<StaticArray<u32>>();
  private chunk: StaticArray<u8> = new StaticArray<u8>(CHUNK);
  private length: u64 = 0;

  /** Adds bytes. */
  update(bytes: Uint8Array): Sha256 {
    let from = bytes.dataStart;
    const end = from + bytes.length;
    const held = <i32>(this.length % CHUNK);
    this.length += bytes.length;
    if (held > 0) {
      const taken = min(CHUNK - held, bytes.length);
      memory.copy(changetype<usize>(this.chunk) + held, from, taken);
      from += taken;
      if (held + taken < CHUNK) return this;
      compress(this.state, changetype<usize>(this.chunk));
    }
    for (; end - from >= <usize>CHUNK; from += CHUNK) compress(this.state, from);
    memory.copy(changetype<usize>(this.chunk), from, end - from);
    return this;
  }

  /** The hash of all that was added. Nothing can be added afterwards. */
  digest(): Uint8Array {
    const chunk = changetype<usize>(this.chunk);
    let held = <i32>(this.length % CHUNK);
    store<u8>(chunk + held++, 0x80);
    memory.fill(chunk + held, 0, CHUNK - held);
    if (held > LENGTH_AT) {
      compress(this.state, chunk);
      memory.fill(chunk, 0, CHUNK);
    }
    store<u64>(chunk + LENGTH_AT, bswap(this.length * 8));
    compress(this.state, chunk);
    const digest = new Uint8Array(32);
    for (let i = 0; i < 8; i++) store<u32>(digest.dataStart + i * 4, bswap(this.state[i]));
    return digest;
  }
}

function compress(state: StaticArray<u32>, chunk: usize): void {
  const w = schedule;
  for (let i = 0; i < 16; i++) unchecked((w[i] = bswap(load<u32>(chunk + i * 4))));
  for (let i = 16; i < 64; i++) {
    const a = unchecked(w[i - 15]);
    const b = unchecked(w[i - 2]);
    const s0 = rotr(a, 7) ^ rotr(a, 18) ^ (a >> 3);
    const s1 = rotr(b, 17) ^ rotr(b, 19) ^ (b >> 10);
    unchecked((w[i] = w[i - 16] + s0 + w[i - 7] + s1));
  }
  let a = state[0], b = state[1], c = state[2], d = state[3];
  let e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + unchecked(K[i] + w[i]);
    const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g; g = f; f = e; e = d + t1;
    d = c; c = b; b = a; a = t1 + t2;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

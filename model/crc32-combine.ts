/** The reversed polynomial of CRC-32 (IEEE 802.3), as zlib and Vitess use it. */
const POLYNOMIAL = 0xedb88320

/** x^(2^n) modulo the polynomial, for n = 0 to 31. */
const POWERS = powers()

/**
 * The CRC-32 of two pieces joined, from those of the pieces: the first moved up by the length of the second, in GF(2), which takes
 * microseconds. After zlib's crc32_combine (`x2nmodp`, `multmodp`).
 * @param length bytes of the second piece
 */
export function combineCrc32(first: number, second: number, length: number): number {
  return (multiply(powerOfBytes(length), first) ^ second) >>> 0
}

/**
 * The CRC-32 of the rest of some bytes, from that of all of them and that of what is before the rest: the inverse of `combineCrc32`.
 * @param length bytes of the rest
 */
export function restOfCrc32(all: number, first: number, length: number): number {
  // Over GF(2) adding and subtracting are the same.
  return combineCrc32(first, all, length)
}

/** x^(8 * bytes) modulo the polynomial. */
function powerOfBytes(bytes: number): number {
  let power = 0x80000000
  for (let left = bytes, n = 3; left > 0; left = Math.floor(left / 2), n++) {
    if (left % 2 === 1) power = multiply(POWERS[n & 31] ?? 0, power)
  }
  return power
}

/** a(x) * b(x) modulo the polynomial; the highest bit is the coefficient of x^0. */
function multiply(a: number, b: number): number {
  let factor = b
  let product = 0
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor
    factor = (factor & 1) !== 0 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1
  }
  return product >>> 0
}

function powers(): number[] {
  const table = [0x40000000]
  for (let n = 1; n < 32; n++) {
    const last = table[n - 1] ?? 0
    table.push(multiply(last, last))
  }
  return table
}

/** The piece `index` of an object that several processes write: each knows what the others have written. */
export function pieceOf(index: number): Buffer {
  return Buffer.alloc(70_000, index % 251)
}

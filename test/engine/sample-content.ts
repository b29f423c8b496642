import { createCipheriv } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DataFile } from '../../mysql/data/data-directory.ts'
import { describe } from './sample-files.ts'

export const KINDS = ['random', 'zero', 'text', 'mixed', 'sparse', 'last'] as const

/** A file that is the same whenever it is made. `sparse` has some data between holes, `last` ends in the only byte that is not 0. */
export interface SampleContent {
  readonly name: string
  readonly size: number
  readonly kind: (typeof KINDS)[number]
  readonly seed: number
}

const PIECE = 1024 * 1024
const MIXED_PIECE = 192 * 1024
const ISLAND = 10_000
/** Text is cut into pieces of this length. */
const SENTENCE = 700
const WORDS = ['parcel', 'customer', 'sku-77', 'chocolate', '1999-12-31', 'NULL', '0.25', 'zone1']
const BOOK = bookOf()

/** Writes the file below `root` and describes it as mysql/data/data-directory.ts does. */
export async function writeContent(root: string, content: SampleContent): Promise<DataFile> {
  const path = join(root, content.name)
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'w')
  try {
    for (const { at, bytes } of piecesOf(content)) await file.write(bytes, 0, bytes.length, at)
    await file.truncate(content.size)
  } finally {
    await file.close()
  }
  return await describe(path, 'Data', content.name)
}

/** `size` bytes without any order. */
export function randomOf(size: number, seed: number): Buffer {
  const key = Buffer.alloc(16)
  key.writeDoubleLE(seed)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

function* piecesOf({ size, kind, seed }: SampleContent): Generator<{ readonly at: number; readonly bytes: Buffer }> {
  if (kind === 'zero' || kind === 'last') {
    // Written, so that these zeros are no hole.
    for (let at = 0; at < size; at += PIECE) yield { at, bytes: Buffer.alloc(Math.min(PIECE, size - at)) }
    if (kind === 'last' && size > 0) yield { at: size - 1, bytes: Buffer.of(1) }
    return
  }
  if (kind === 'sparse') {
    for (const share of [0.1, 0.5, 0.98]) {
      const at = Math.floor(size * share)
      yield { at, bytes: randomOf(Math.min(ISLAND, size - at), seed) }
    }
    return
  }
  const step = kind === 'mixed' ? MIXED_PIECE : PIECE
  for (let at = 0, piece = seed; at < size; at += step, piece++) {
    const length = Math.min(step, size - at)
    if (kind === 'random' || (kind === 'mixed' && piece % 3 === 0)) yield { at, bytes: randomOf(length, piece) }
    else if (kind === 'text' || piece % 3 === 1) yield { at, bytes: textOf(length, piece) }
    else yield { at, bytes: Buffer.alloc(length) }
  }
}

function textOf(length: number, seed: number): Buffer {
  const text = Buffer.alloc(length)
  const draws = randomOf(2 * Math.ceil(length / SENTENCE), seed)
  for (let at = 0, draw = 0; at < length; at += SENTENCE, draw += 2) {
    const from = draws.readUInt16LE(draw)
    BOOK.copy(text, at, from, from + SENTENCE)
  }
  return text
}

/** Long enough to begin a sentence anywhere that two bytes can say. */
function bookOf(): Buffer {
  const words = [...randomOf(40_000, 0.5)].map((draw) => `${WORDS[draw % WORDS.length]} ${draw * 37}`)
  return Buffer.from(words.join(' '))
}

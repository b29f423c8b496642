import { Duplex } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { TabletkeeperError } from '../../model/errors.ts'
import type { Manifest } from '../../model/manifest.ts'
import { decodeLz4 } from './lz4-frame.ts'
import { ZstdFrames } from './zstd-frames.ts'

/** Makes the streams through which the stored bytes of one object become plain ones; none when they are stored plain. */
export type Decompression = () => Duplex[]

const CHUNK = 256 * 1024

const gunzip: Decompression = () => [createGunzip({ chunkSize: CHUNK })]

/** By `CompressionEngine`, as Vitess names them (go/vt/mysqlctl/compression.go). A backup that names none is of `pgzip`. */
const DECOMPRESSIONS: ReadonlyMap<string, Decompression> = new Map([
  ['', gunzip],
  ['pgzip', gunzip],
  ['pargzip', gunzip],
  ['zstd', () => [new ZstdFrames(), createZstdDecompress({ chunkSize: CHUNK })]],
  ['lz4', () => [Duplex.from(decodeLz4)]],
])

/**
 * How the objects of a backup are decompressed.
 * @throws IncompatibleVersion when they were compressed by a program that only their maker knows
 */
export function decompressionOf(manifest: Manifest): Decompression {
  if (manifest.SkipCompress) return () => []
  const found = DECOMPRESSIONS.get(manifest.CompressionEngine)
  if (found !== undefined) return found
  throw new TabletkeeperError(
    'IncompatibleVersion',
    `the backup ${manifest.BackupName} was compressed by ${JSON.stringify(manifest.CompressionEngine)}, which cannot be read here`,
    {
      hint: `Only ${[...DECOMPRESSIONS.keys()].filter(Boolean).join(', ')} and no compression can be: restore this one with Vitess.`,
    },
  )
}

import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runOnce } from './child.ts'
import { type Outcome, outcomeSchema } from './outcome.ts'

/** What `tar` reads: paths below one directory. */
export interface TarSource {
  readonly datadir: string
  readonly files: readonly { readonly path: string }[]
  readonly bytes: number
}

const measured = outcomeSchema.pick({ seconds: true, syncSeconds: true, cpuSeconds: true, maxRssBytes: true })

/** `tar -c … | zstd -1 -T0` of the files into `archive`. */
export async function archiveByTar(source: TarSource, directory: string, archive: string): Promise<Outcome> {
  const list = join(directory, 'list')
  const names = source.files.map(({ path }) => path.slice(source.datadir.length + 1))
  await writeFile(list, names.join('\0'))
  const script = 'tar -c -C "$1" --null -T "$2" | zstd -q -1 -T0 -o "$3"'
  const pipeline = { script, arguments: [source.datadir, list, archive] }
  const result = await runOnce('command-once', { pipeline, durable: directory }, measured)
  return { ...result, dataBytes: source.bytes, storedBytes: (await stat(archive)).size }
}

/** `zstd -d | tar -x` of that archive into the directory. */
export async function extractByTar(source: TarSource, directory: string, archive: string): Promise<Outcome> {
  const pipeline = { script: 'zstd -q -d -c "$1" | tar -x -C "$2"', arguments: [archive, directory] }
  const result = await runOnce('command-once', { pipeline, durable: directory }, measured)
  return { ...result, dataBytes: source.bytes, storedBytes: (await stat(archive)).size }
}

import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { FileBase } from '../../model/manifest.ts'
import type { DataFile } from '../../mysql/data/data-directory.ts'

/** What a file is made of. */
export type Content = Buffer | { readonly sparse: number; readonly at: number; readonly bytes: Buffer }

/** Writes a file below `root` and describes it as mysql/data/data-directory.ts does. */
export async function sampleFile(root: string, base: FileBase, name: string, content: Content): Promise<DataFile> {
  const path = join(root, name)
  await mkdir(dirname(path), { recursive: true })
  if (Buffer.isBuffer(content)) await writeFile(path, content)
  else {
    const file = await open(path, 'w')
    await file.truncate(content.sparse)
    await file.write(content.bytes, 0, content.bytes.length, content.at)
    await file.close()
  }
  return await describe(path, base, name)
}

export async function describe(path: string, base: FileBase, name: string): Promise<DataFile> {
  const { size, mtimeNs, ino } = await lstat(path, { bigint: true })
  return { base, name, path, size: Number(size), mtimeNs, inode: ino }
}

/** Files of many sizes below `root`, as a data directory has them: empty ones, one of several chunks, a sparse one above 64 MiB. */
export async function sampleFiles(root: string): Promise<DataFile[]> {
  const half = (size: number) => Buffer.concat([randomBytes(size / 2), Buffer.alloc(size / 2, 'row ')])
  return [
    await sampleFile(root, 'InnoDBData', 'ibdata1', half(3 * 1024 * 1024)),
    await sampleFile(root, 'InnoDBLog', '#innodb_redo/#ib_redo7', half(1024 * 1024)),
    await sampleFile(root, 'InnoDBLog', '#innodb_redo/#ib_redo8_tmp', Buffer.alloc(1024 * 1024)),
    await sampleFile(root, 'Data', 'mysql.ibd', half(1024 * 1024 + 2)),
    await sampleFile(root, 'Data', 'mysql/slow_log.CSV', Buffer.alloc(0)),
    await sampleFile(root, 'Data', 'commerce/one byte.ibd', Buffer.from('x')),
    await sampleFile(root, 'Data', 'commerce/sp@00e4t.ibd', randomBytes(16 * 1024)),
    await sampleFile(root, 'Data', 'commerce/large.ibd', {
      sparse: 70 * 1024 * 1024,
      at: 65 * 1024 * 1024,
      bytes: randomBytes(200_000),
    }),
    await sampleFile(root, 'Data', 'sys/sys_config.ibd', randomBytes(65_536)),
  ]
}

/** Digests of all files below a directory, by their path. */
export async function digestsOf(root: string): Promise<Record<string, string>> {
  const digests: Record<string, string> = {}
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    digests[relative(root, path)] = hash.digest('hex')
  }
  return digests
}

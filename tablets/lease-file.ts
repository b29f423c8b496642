import { constants } from 'node:fs'
import { link, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Lease, parseLease } from '../model/lease.ts'

const UNFINISHED = /^lease\.json\.\d+\.new$/

/**
 * The lease on disk: `lease.json` in the tablet's private folder, so that it moves with the volume.
 * Every change is durable when its promise resolves, and a reader sees a whole lease or none.
 */
export class LeaseFile {
  readonly path: string

  constructor(privateFolder: string) {
    this.path = join(privateFolder, 'lease.json')
  }

  /** @throws FenceBroken when the file is there but is no lease */
  async read(): Promise<Lease | undefined> {
    try {
      return parseLease(await readFile(this.path, 'utf8'), this.path)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Creates the lease; false when there is one already, which is left as it is. */
  async create(lease: Lease): Promise<boolean> {
    const temporary = await this.#write(lease)
    try {
      await link(temporary, this.path)
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
      throw error
    } finally {
      await rm(temporary, { force: true })
    }
    await syncDirectory(dirname(this.path))
    return true
  }

  async replace(lease: Lease): Promise<void> {
    await rename(await this.#write(lease), this.path)
    await syncDirectory(dirname(this.path))
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true })
    await syncDirectory(dirname(this.path))
  }

  /** Removes what processes that died while they wrote a lease have left. Nobody else may be writing one. */
  async removeUnfinished(): Promise<void> {
    const folder = dirname(this.path)
    const unfinished = (await readdir(folder)).filter((name) => UNFINISHED.test(name))
    await Promise.all(unfinished.map((name) => rm(join(folder, name), { force: true })))
  }

  async #write(lease: Lease): Promise<string> {
    const temporary = `${this.path}.${process.pid}.new`
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(lease, null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    return temporary
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

import { randomBytes } from 'node:crypto'
import { link, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Lease, parseLease } from '../model/lease.ts'
import { giveToOwner } from '../mysql/data/private-folder.ts'
import { isCode, orMissing } from '../mysql/system/system-error.ts'
import { syncDirectory } from '../storage/file/durable-file.ts'

const UNFINISHED = /^lease\.json\.[\da-f.]+\.new$/

/**
 * The lease on disk: `lease.json` in the tablet's private folder, so that it moves with the volume.
 * Every change is durable when its promise resolves, and a reader sees a whole lease or none. Whoever writes it, it belongs to the owner of
 * that folder, so that the tablet's agent can read it.
 */
export class LeaseFile {
  readonly path: string

  constructor(privateFolder: string) {
    this.path = join(privateFolder, 'lease.json')
  }

  /** @throws FenceBroken when the file is there but is no lease */
  async read(): Promise<Lease | undefined> {
    const text = await orMissing(readFile(this.path, 'utf8'))
    return text === undefined ? undefined : parseLease(text, this.path)
  }

  /** Creates the lease; false when there is one already, which is left as it is. */
  async create(lease: Lease): Promise<boolean> {
    const temporary = await this.#write(lease)
    try {
      await link(temporary, this.path)
    } catch (error) {
      if (isCode(error, 'EEXIST')) return false
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
    // One of its own: a run that takes the tablet may write while another one's step does.
    const temporary = `${this.path}.${process.pid}.${randomBytes(4).toString('hex')}.new`
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(lease, null, 2)}\n`)
      await file.sync()
      await giveToOwner(dirname(this.path), temporary)
    } catch (error) {
      // On a full disk the next try comes in seconds.
      await rm(temporary, { force: true })
      throw error
    } finally {
      await file.close()
    }
    return temporary
  }
}

import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { verifyBackup } from '../../engine/verify/verify-copy.ts'
import type { BackupName } from '../../model/backup-name.ts'
import { DamagedBackup, isSound } from '../../model/verification.ts'
import { listBackups } from '../../storage/catalogue/catalogue.ts'
import { findPublished } from '../../storage/catalogue/published.ts'
import { removeBackup } from '../../storage/catalogue/remove-backup.ts'
import type { Scenery } from './chaos-world.ts'

const KEPT = 5

/** Every backup that was ever listed as complete in a world: what it was then, it has to stay. */
export class Account {
  readonly #digests = new Map<BackupName, string>()
  /** Listed as complete, and not restored from yet; those of runs under a fault come first. */
  #unproven: BackupName[] = []

  /** One that nobody has restored yet, the oldest. */
  get unproven(): BackupName | undefined {
    return this.#unproven[0]
  }

  /** It was restored, and the data were right. */
  proven(name: BackupName): void {
    this.#unproven = this.#unproven.filter((one) => one !== name)
  }

  /**
   * Looks at everything that is listed: what was complete still is, byte for byte; what is complete now reads without a fault; what is not
   * was left by a run that could not clean up. That is removed, as are old backups, so that storage does not fill.
   * @param mayLeave whether there may be an incomplete backup
   */
  async audit(scenery: Scenery, mayLeave: boolean): Promise<void> {
    const { store, shard } = scenery
    const { entries, ignored } = await listBackups(store, shard.shard)
    if (ignored.length > 0) throw new Error(`storage has folders that are no backups: ${ignored.join(', ')}`)
    const complete = entries.filter((entry) => entry.state === 'complete')
    for (const [name, digest] of this.#digests) {
      if (!complete.some((entry) => entry.name === name))
        throw new Error(`${name} was complete and is not listed so now`)
      if ((await digestOf(scenery, name)) !== digest) throw new Error(`${name} was complete and is not what it was`)
    }
    for (const entry of complete.filter(({ name }) => !this.#digests.has(name))) await this.#enter(scenery, entry.name)
    for (const entry of entries.filter(({ state }) => state !== 'complete')) {
      if (entry.state === 'corrupt') throw new Error(`${entry.name} is corrupt: ${entry.reason}`)
      if (!mayLeave) throw new Error(`${entry.name} was left incomplete by a run that ended by itself`)
      await removeBackup(store, shard.shard, entry.name)
    }
    await this.#prune(scenery)
  }

  async #enter(scenery: Scenery, name: BackupName): Promise<void> {
    const { store, shard } = scenery
    const published = await findPublished(store, shard.shard, name)
    const signal = new AbortController().signal
    const began = Date.now()
    const found = await verifyBackup({ ...published, store, concurrency: 1, signal, onProgress: () => {} })
    const result = { shard: shard.shard, backup: name, ...found, seconds: (Date.now() - began) / 1000 }
    if (!isSound(result)) throw new DamagedBackup(result)
    this.#digests.set(name, await digestOf(scenery, name))
    this.#unproven.push(name)
  }

  /** The oldest go, those that were restored first. */
  async #prune({ store, shard }: Scenery): Promise<void> {
    const byAge = [...this.#digests.keys()].sort()
    const old = [
      ...byAge.filter((name) => !this.#unproven.includes(name)),
      ...byAge.filter((name) => this.#unproven.includes(name)),
    ].slice(0, Math.max(0, byAge.length - KEPT))
    for (const name of old) {
      await removeBackup(store, shard.shard, name)
      this.#digests.delete(name)
      this.proven(name)
    }
  }
}

/** Names and content of every file, hidden ones too. */
async function digestOf({ storage, shard }: Scenery, name: BackupName): Promise<string> {
  const directory = join(storage.path, shard.shard, name)
  const hash = createHash('sha256')
  for (const file of (await readdir(directory)).sort()) {
    hash.update(`${file}\0`).update(await readFile(join(directory, file)))
  }
  return hash.digest('hex')
}

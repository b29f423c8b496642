import { randomUUID } from 'node:crypto'
import { parseBackupName } from '../../model/backup-name.ts'
import { isError, TabletkeeperError } from '../../model/errors.ts'
import { parseShardName } from '../../model/shard-name.ts'
import type { Listing, Repository } from '../object-store.ts'
import { MARKER, markerText, parseMarker } from '../repository-marker.ts'

/** What is asked of a store that keeps objects in a bucket, to tell what stands at its root. Names are below the root. */
export interface BucketRoot {
  readonly description: string
  /** The text of a small object; undefined when there is none. @throws InvalidConfig when there is no such bucket */
  read(name: string): Promise<string | undefined>
  /** Stores a small object; one that is there stays as it is. */
  writeNew(name: string, text: string): Promise<void>
  /** One level below a prefix, perhaps only the beginning of a long one. */
  level(prefix: string): Promise<Listing>
}

/**
 * For how long one look at the marker is enough. A bucket is not swapped under a running process as a mount is, so that not every call
 * has to pay for it; but what says that nothing is there looks again.
 */
const LOOK_LASTS = 60_000

/** Keyspaces and shards that are searched for backups of Vitess where there is no marker. */
const SEARCHED = 20

/** The repository at the root of a bucket: what `FileStore` tells from files, told from objects. */
export class BucketRepository {
  readonly #root: BucketRoot
  /** The repository that was there when last looked. */
  #known: string | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking: Promise<Repository> | undefined
  #making: Promise<void> | undefined

  constructor(root: BucketRoot) {
    this.#root = root
  }

  /**
   * What stands there now.
   * @throws InvalidConfig when it is something else; StorageUnavailable when it is another repository than before
   */
  async look(): Promise<Repository> {
    this.#looking ??= this.#find().finally(() => {
      this.#looking = undefined
    })
    return await this.#looking
  }

  /** Before anything is written: what stands there gets a marker, so that it is known again. */
  async makeReady(): Promise<void> {
    if (this.#known !== undefined && this.#isFresh()) return
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    await this.#making
  }

  /**
   * @param now for an answer that says that nothing is there: what was seen a moment ago is not enough
   * @throws StorageUnavailable when nothing was ever stored there
   */
  async assertReady(now = false): Promise<void> {
    if (!now && this.#isFresh()) return
    if ((await this.look()).state === 'ready') return
    throw new TabletkeeperError('StorageUnavailable', `${this.#root.description} is empty and was never written to`, {
      hint: 'Is it the right bucket and root? If it is meant to be new, the first backup makes it a repository.',
    })
  }

  #isFresh(): boolean {
    return performance.now() - this.#lookedAt < LOOK_LASTS
  }

  async #make(): Promise<void> {
    const found = await this.look()
    if (found.state === 'ready' && found.id !== null) return
    await this.#root.writeNew(MARKER, markerText(randomUUID()))
    // Not a look that somebody began before.
    const made = await this.#find()
    if (made.state === 'ready' && made.id !== null) return
    throw new TabletkeeperError(
      'StorageUnavailable',
      `${this.#root.description} does not give back its marker ${MARKER}, which was just written`,
    )
  }

  async #find(): Promise<Repository> {
    const found = await this.#read()
    const id = found.state === 'ready' ? found.id : null
    if (this.#known !== undefined && id !== this.#known) {
      this.#lookedAt = Number.NEGATIVE_INFINITY
      throw new TabletkeeperError(
        'StorageUnavailable',
        `${this.#root.description} is not the repository that it was (${this.#known}), but ${id ?? 'none'}`,
        { hint: 'Somebody removed the marker or the bucket, or made another one of the same name: look.' },
      )
    }
    this.#known = id ?? undefined
    if (found.state === 'ready') this.#lookedAt = performance.now()
    return found
  }

  async #read(): Promise<Repository> {
    const id = await this.#readMarker()
    if (id !== undefined) return { state: 'ready', id }
    const { objects, prefixes } = await this.#root.level('')
    const [first] = [...objects.map(({ key }) => key), ...prefixes]
    if (first === undefined) return { state: 'new' }
    if (await this.#holdsBackups(prefixes)) return { state: 'ready', id: null }
    // Another host may have begun the repository since the first look: it writes the marker before anything else.
    const later = await this.#readMarker()
    if (later !== undefined) return { state: 'ready', id: later }
    throw new TabletkeeperError(
      'InvalidConfig',
      `${this.#root.description} holds objects that are no backups, such as ${first}`,
      { hint: 'Set storage.root to a path in the bucket that nobody else uses, or that backups are in already.' },
    )
  }

  async #readMarker(): Promise<string | undefined> {
    const text = await this.#root.read(MARKER)
    return text === undefined ? undefined : parseMarker(text, `${MARKER} in ${this.#root.description}`)
  }

  /** Whether there is a backup in Vitess's layout. Buckets are shared: other things beside it do not matter. */
  async #holdsBackups(keyspaces: readonly string[]): Promise<boolean> {
    for (const keyspace of keyspaces.slice(0, SEARCHED)) {
      const shards = (await this.#root.level(keyspace)).prefixes.filter((shard) => accepts(parseShardName, shard))
      for (const shard of shards.slice(0, SEARCHED)) {
        const { prefixes } = await this.#root.level(shard)
        if (prefixes.some((backup) => accepts(parseBackupName, backup.slice(shard.length)))) return true
      }
    }
    return false
  }
}

/** @param prefix ends in `/` */
function accepts(parse: (text: string) => unknown, prefix: string): boolean {
  try {
    parse(prefix.slice(0, -1))
    return true
  } catch (error) {
    if (!isError(error, 'InvalidInput')) throw error
    return false
  }
}

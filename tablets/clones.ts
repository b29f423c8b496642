import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { cloneFiles } from '../engine/backup/snapshot.ts'
import { heapInAHurry } from '../engine/pool/heap-size.ts'
import { inParallel } from '../engine/pool/in-parallel.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Claim } from '../model/lease.ts'
import { cloneFolder, cloneLayout, cloneRoots, clonesOf } from '../mysql/data/clone-folders.ts'
import { checkUnchanged, type DataFile, selectFiles, selectFilesInUse } from '../mysql/data/data-directory.ts'
import { giveToOwner, privateFolder } from '../mysql/data/private-folder.ts'
import type { ServerLayout } from '../mysql/settings/my-cnf.ts'
import { syncFileSystem } from '../mysql/system/file-system-sync.ts'
import { orMissing } from '../mysql/system/system-error.ts'
import {
  type CloneRecord,
  cloneTokens,
  isMade,
  type MadeClone,
  readCloneRecord,
  removeCloneRecord,
  writeCloneRecord,
} from './clone-record.ts'
import { ClonesAhead } from './clones-ahead.ts'
import { removeCopyLedger } from './copy-ledger-path.ts'
import type { TabletDriver } from './driver.ts'
import { SoleWork, type Work } from './sole-work.ts'
import { assertStoppedAt, type StoppedAt } from './stop-fence.ts'

/** Which run a clone is for. */
export type CloneOwner = Pick<CloneRecord, 'token' | 'namespace' | 'workflowId' | 'runId' | 'backup'>

/** A proven clone, to copy from. */
export interface OpenClone {
  readonly record: MadeClone
  /** Of a server that would run on it. */
  readonly layout: ServerLayout
  readonly files: readonly DataFile[]
}

/** A clone that had to go, and why. */
export interface GivenUpClone {
  readonly clone: CloneRecord
  /** What its run fails with, if it has still to copy. */
  readonly reason: TabletkeeperError
}

const CREATED_AT_ONCE = 8

/**
 * The clones of one tablet's files (`mysql/data/clone-folders.ts`), from which its agent copies while the tablet serves again. They are no
 * part of the tablet's way back: whoever returns it leaves them alone.
 */
export class TabletClones {
  readonly #driver: TabletDriver
  /** By token: copying from a clone and dropping it exclude each other. */
  readonly #works = new Map<string, SoleWork>()
  /** By token; of clones that are not whole yet. */
  readonly #ahead = new Map<string, ClonesAhead>()
  /** By token. */
  readonly #givenUp = new Map<string, GivenUpClone>()

  constructor(driver: TabletDriver) {
    this.#driver = driver
  }

  /** @throws FenceBroken when there is one whose record cannot be read */
  async all(): Promise<CloneRecord[]> {
    const { datadir } = await this.#driver.layout()
    const records: CloneRecord[] = []
    for (const token of await cloneTokens(datadir)) {
      const record = await readCloneRecord(datadir, token)
      if (record !== undefined) records.push(record)
    }
    return records
  }

  /**
   * Makes what takes long of a clone before mysqld stops: its record, its folders, and a file for each that there is now.
   * @returns how many files there are
   */
  async prepare(owner: CloneOwner, signal: AbortSignal): Promise<number> {
    const layout = await this.#driver.layout()
    await this.#begin(layout, owner)
    const paths = clonesOf(layout, owner.token, await selectFilesInUse(layout)).map(({ to }) => to)
    await makeFolders(layout, owner.token, paths)
    await inParallel(paths, CREATED_AT_ONCE, signal, (path) => writeFile(path, '', { flag: 'a', mode: 0o600 }))
    return paths.length
  }

  /**
   * Clones what can be cloned before mysqld stops, for a clone that was prepared; without one nothing happens. To be called when hardly
   * anybody writes any more: what is written to afterwards is cloned again, and takes room twice until then.
   */
  async cloneAhead(token: string, signal: AbortSignal): Promise<void> {
    const layout = await this.#driver.layout()
    const record = await readCloneRecord(layout.datadir, token)
    if (record === undefined || record.made !== null) return
    // Cloning a file waits for its dirty pages to be written.
    await flushAll(record.roots)
    signal.throwIfAborted()
    const before = BigInt(Date.now()) * 1_000_000n
    const clones = clonesOf(layout, token, await selectFilesInUse(layout))
    const ahead = new ClonesAhead()
    this.#ahead.set(token, ahead)
    await ahead.make(clones, before, signal)
  }

  /**
   * Clones the files of a stopped server, and proves that they and the clone are of that stop. The caller keeps every mysqld away
   * meanwhile. What an earlier attempt has made is made again, unless it was whole.
   * @returns how many files there are
   * @throws FenceBroken, Refused, StorageFull (`cloneFiles`)
   */
  async make(owner: CloneOwner, stop: StoppedAt, signal: AbortSignal): Promise<number> {
    const { token } = owner
    using _ = heapInAHurry()
    const layout = await this.#driver.layout()
    await assertStoppedAt(layout, stop.lsn, this.#driver)
    const files = await selectFiles(layout)
    const list = listDigest(files)
    const present = await readCloneRecord(layout.datadir, token)
    if (present?.made?.lsn === stop.lsn && present.made.list === list) {
      await assertStoppedAt(cloneLayout(layout, token), stop.lsn, this.#driver)
      return files.length
    }
    const record = present?.made === null ? present : await this.#begin(layout, owner)
    const clones = clonesOf(layout, token, files)
    const paths = clones.map(({ to }) => to)
    await makeFolders(layout, token, paths)
    const ahead = this.#ahead.get(token)
    const behind = clones.filter(({ file }) => !ahead?.has(file))
    await cloneFiles(behind, signal)
    const wanted = new Set(paths)
    for (const root of record.roots) await removeOthers(cloneFolder(root, token), wanted)
    // A clone that was made before is that of the file as it was selected above: what comes later does not reach it.
    await checkUnchanged(behind.map(({ file }) => file))
    for (const proven of [layout, cloneLayout(layout, token)]) await assertStoppedAt(proven, stop.lsn, this.#driver)
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    const made = { at: new Date().toISOString(), ...stop, files: files.length, bytes, list }
    await writeCloneRecord(layout.datadir, { ...record, made })
    this.#ahead.delete(token)
    return files.length
  }

  /**
   * Copies from a clone. An earlier attempt to do so is aborted, and has stopped before this one begins.
   * @throws FenceBroken when the clone is gone, another run's, or not what it was
   */
  async copyFrom<T>(claim: Claim, signal: AbortSignal, copy: (clone: OpenClone, work: Work) => Promise<T>): Promise<T> {
    const work = this.#workOn(claim.token)
    const name = `the copying from the clone of ${this.#driver.alias}`
    const result = await work.exclusively(async () => {
      await work.stop(overtaken(`a later attempt to copy from the clone of ${this.#driver.alias} took over`))
      signal.throwIfAborted()
      return work.begin({ name, signal }, async (begun) => copy(await this.#open(claim), begun))
    })
    return await result.ended
  }

  /**
   * Removes a clone, whole or not, and the record of what was copied from it, after whoever copies has stopped. Nothing there is no
   * error.
   */
  async drop(token: string): Promise<void> {
    const record = await this.#remove(token, overtaken(`the clone of ${this.#driver.alias} is dropped`))
    const backup = (record ?? this.#givenUp.get(token)?.clone)?.backup
    if (backup !== undefined) await removeCopyLedger((await this.#driver.layout()).datadir, backup)
    this.#works.delete(token)
    this.#ahead.delete(token)
    this.#givenUp.delete(token)
  }

  /**
   * Removes clones that have to go although their runs are open: those that have still to copy fail with the reason that `why` gives. What
   * was copied already can still be published.
   * @returns them and the reasons
   */
  async giveUp(why: (clone: CloneRecord) => Promise<TabletkeeperError | undefined>): Promise<GivenUpClone[]> {
    const gone: GivenUpClone[] = []
    for (const clone of await this.all()) {
      const reason = await why(clone)
      if (reason === undefined) continue
      const givenUp = { clone, reason }
      this.#givenUp.set(clone.token, givenUp)
      await this.#remove(clone.token, reason)
      gone.push(givenUp)
    }
    return gone
  }

  /** Ends what copies in this process and waits for it; the clones stay. For the agent's own shutdown. */
  async stop(): Promise<void> {
    const reason = overtaken(`the agent of ${this.#driver.alias} ends`)
    await Promise.all([...this.#works.values()].map((work) => work.stop(reason)))
  }

  async #remove(token: string, reason: TabletkeeperError): Promise<CloneRecord | undefined> {
    const work = this.#workOn(token)
    return await work.exclusively(async () => {
      await work.stop(reason)
      const { datadir } = await this.#driver.layout()
      const record = await readCloneRecord(datadir, token)
      if (record === undefined) return undefined
      for (const root of record.roots) await rm(cloneFolder(root, token), { recursive: true, force: true })
      await removeCloneRecord(datadir, token)
      return record
    })
  }

  #workOn(token: string): SoleWork {
    const work = this.#works.get(token) ?? new SoleWork()
    this.#works.set(token, work)
    return work
  }

  /** The record of a clone that is about to be made comes before its first folder. */
  async #begin(layout: ServerLayout, owner: CloneOwner): Promise<CloneRecord> {
    const roots = cloneRoots(layout)
    for (const root of roots) await privateFolder(root)
    const record: CloneRecord = { version: 1, ...owner, since: new Date().toISOString(), roots, made: null }
    await writeCloneRecord(layout.datadir, record)
    return record
  }

  async #open({ token, runId }: Claim): Promise<OpenClone> {
    const own = await this.#driver.layout()
    const record = await readCloneRecord(own.datadir, token)
    if (record?.runId !== runId || !isMade(record)) {
      throw (
        this.#givenUp.get(token)?.reason ??
        broken(`this run has no clone of ${this.#driver.alias} to copy from: it was dropped`)
      )
    }
    const { made } = record
    const layout = cloneLayout(own, token)
    await assertStoppedAt(layout, made.lsn, this.#driver)
    const files = await selectFiles(layout)
    if (listDigest(files) !== made.list)
      throw broken(`the clone of ${this.#driver.alias} does not hold the files that were cloned`)
    // What is copied for long shall outlast the host too.
    await flushAll(record.roots)
    return { record, layout, files }
  }
}

async function flushAll(roots: readonly string[]): Promise<void> {
  for (const root of roots) await syncFileSystem(root)
}

async function makeFolders(layout: ServerLayout, token: string, paths: readonly string[]): Promise<void> {
  const folders = new Set(paths.map((path) => dirname(path)))
  for (const root of cloneRoots(layout)) {
    const top = cloneFolder(root, token)
    const inside = [top, ...[...folders].filter((folder) => folder.startsWith(join(top, '/')))]
    for (const folder of inside) await mkdir(folder, { recursive: true, mode: 0o700 })
    await giveToOwner(root, ...inside)
  }
}

/** Files that were there when the clone was prepared, and not when mysqld had stopped. */
async function removeOthers(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  const entries = (await orMissing(readdir(folder, { withFileTypes: true }))) ?? []
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await removeOthers(path, wanted)
    else if (!wanted.has(path)) await rm(path)
  }
}

/** Tells whether a list of files is the same, in the same order. */
function listDigest(files: readonly Pick<DataFile, 'base' | 'name' | 'size'>[]): string {
  const hash = createHash('sha256')
  for (const { base, name, size } of files) hash.update(`${base}/${name}\0${size}\n`)
  return hash.digest('hex')
}

function broken(message: string): TabletkeeperError {
  return new TabletkeeperError('FenceBroken', message, { hint: 'Nothing is published. Start another backup.' })
}

function overtaken(message: string): TabletkeeperError {
  return new TabletkeeperError('FenceBroken', message)
}

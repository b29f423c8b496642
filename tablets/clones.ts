import { createHash } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { heapInAHurry } from '../engine/heap-size.ts'
import { inParallel } from '../engine/in-parallel.ts'
import { cloneFiles } from '../engine/snapshot.ts'
import { TabletkeeperError } from '../model/errors.ts'
import type { Claim } from '../model/lease.ts'
import { cloneFolder, cloneLayout, clonePaths, cloneRoots } from '../mysql/clone-folders.ts'
import { checkUnchanged, type DataFile, selectFiles } from '../mysql/data-directory.ts'
import type { ServerLayout } from '../mysql/my-cnf.ts'
import { giveToOwner, privateFolder } from '../mysql/private-folder.ts'
import { syncFileSystem } from '../mysql/system-calls.ts'
import { orMissing } from '../mysql/system-error.ts'
import {
  type CloneRecord,
  cloneTokens,
  type MadeClone,
  readCloneRecord,
  removeCloneRecord,
  writeCloneRecord,
} from './clone-record.ts'
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

const CREATED_AT_ONCE = 8

/**
 * The clones of one tablet's files (`mysql/clone-folders.ts`), from which its agent copies while the tablet serves again. They are no
 * part of the tablet's way back: whoever returns it leaves them alone.
 */
export class TabletClones {
  readonly #driver: TabletDriver
  /** By token: copying from a clone and dropping it exclude each other. */
  readonly #works = new Map<string, SoleWork>()

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
   * Makes what takes long of a clone while mysqld still runs: its record, its folders, and a file for each that there is now.
   * @returns how many files there are
   */
  async prepare(owner: CloneOwner, signal: AbortSignal): Promise<number> {
    const layout = await this.#driver.layout()
    await this.#begin(layout, owner)
    const paths = clonePaths(layout, owner.token, await selectFiles(layout))
    await makeFolders(layout, owner.token, paths)
    await inParallel(paths, CREATED_AT_ONCE, signal, (path) => writeFile(path, '', { flag: 'a', mode: 0o600 }))
    return paths.length
  }

  /** To be called before mysqld stops for a clone that was prepared: cloning a file waits for its dirty pages to be written. */
  async flush(token: string): Promise<void> {
    const { datadir } = await this.#driver.layout()
    for (const root of (await readCloneRecord(datadir, token))?.roots ?? []) await syncFileSystem(root)
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
    const paths = clonePaths(layout, token, files)
    await makeFolders(layout, token, paths)
    await cloneFiles(
      files.map(({ path }, index) => ({ from: path, to: paths[index] ?? '' })),
      signal,
    )
    const wanted = new Set(paths)
    for (const root of record.roots) await removeOthers(cloneFolder(root, token), wanted)
    await checkUnchanged(files)
    for (const proven of [layout, cloneLayout(layout, token)]) await assertStoppedAt(proven, stop.lsn, this.#driver)
    const bytes = files.reduce((sum, { size }) => sum + size, 0)
    const made = { at: new Date().toISOString(), ...stop, files: files.length, bytes, list }
    await writeCloneRecord(layout.datadir, { ...record, made })
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
    const work = this.#workOn(token)
    await work.exclusively(async () => {
      await work.stop(overtaken(`the clone of ${this.#driver.alias} is dropped`))
      const { datadir } = await this.#driver.layout()
      const record = await readCloneRecord(datadir, token)
      if (record === undefined) return
      for (const root of record.roots) await rm(cloneFolder(root, token), { recursive: true, force: true })
      await removeCopyLedger(datadir, record.backup)
      await removeCloneRecord(datadir, token)
    })
    this.#works.delete(token)
  }

  /** Ends what copies in this process and waits for it; the clones stay. For the agent's own shutdown. */
  async stop(): Promise<void> {
    const reason = overtaken(`the agent of ${this.#driver.alias} ends`)
    await Promise.all([...this.#works.values()].map((work) => work.stop(reason)))
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
    const { made } = record ?? {}
    if (record?.runId !== runId || made === undefined || made === null)
      throw broken(`this run has no clone of ${this.#driver.alias} to copy from: it was dropped`)
    const layout = cloneLayout(own, token)
    await assertStoppedAt(layout, made.lsn, this.#driver)
    const files = await selectFiles(layout)
    if (listDigest(files) !== made.list)
      throw broken(`the clone of ${this.#driver.alias} does not hold the files that were cloned`)
    // What is copied for long shall outlast the host too.
    for (const root of record.roots) await syncFileSystem(root)
    return { record: { ...record, made }, layout, files }
  }
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

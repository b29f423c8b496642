import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { canReflink } from '../../engine/backup/snapshot.ts'
import { TabletkeeperError } from '../../model/errors.ts'
import { cloneFolder, clonesOf } from '../../mysql/data/clone-folders.ts'
import { type DataFile, selectFiles } from '../../mysql/data/data-directory.ts'
import { privateFolderPath } from '../../mysql/data/private-folder.ts'
import { proveCleanShutdown } from '../../mysql/process/clean-shutdown.ts'
import type { ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { COW_KINDS, type CowFileSystem, mountCow, obstacleToCow } from '../../sandbox/cow-file-system.ts'
import { type CloneOwner, TabletClones } from '../../tablets/clones.ts'
import { copyLedgerPath } from '../../tablets/copy-ledger-path.ts'
import type { StoppedAt } from '../../tablets/stop-fence.ts'
import { arrangeTablet } from '../mysql/real-tablet.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'
import { configuredDriver } from './configured-driver.ts'

const never = new AbortController().signal
const owner: CloneOwner = {
  token: '0123456789abcdef',
  namespace: 'default',
  workflowId: 'backup/commerce/0/zone1-0000000101/2026-11-25T00:00:00Z',
  runId: 'run-1',
  backup: '2026-11-25.000000.zone1-0000000101',
}
const reading = {
  position: 'MySQL56/',
  purgedPosition: 'MySQL56/',
  serverUuid: '1498cfea-e878-11f1-8709-02fc00000001',
  versionString: 'Ver 9.7.4',
  takenAt: '2026-11-25T00:00:00.000Z',
}

for (const kind of COW_KINDS) {
  const obstacle = await obstacleToCow(kind)
  describe.skipIf(obstacle !== undefined)(`clones of a stopped server on ${kind}`, () => {
    let cow: CowFileSystem
    let made = 0

    beforeAll(async () => {
      cow = await mountCow(2_000, kind)
    })
    afterAll(async () => {
      await cow?.[Symbol.asyncDispose]()
    })

    /** A stopped server on the file system. `elsewhere`: its redo log is in a directory of its own. */
    async function arrange(elsewhere = false) {
      made += 1
      const directory = join(cow.path, String(made))
      onTestFinished(() => rm(directory, { recursive: true }))
      const { layout } = await arrangeTablet({ datadir: join(directory, 'data') })
      const moved: ServerLayout = elsewhere ? { ...layout, innodbLogHome: join(directory, 'redo') } : layout
      if (elsewhere) {
        await mkdir(moved.innodbLogHome)
        const redo = '#innodb_redo'
        await mkdir(join(moved.innodbLogHome, redo))
        for (const name of await readdir(join(layout.datadir, redo)))
          await writeFile(join(moved.innodbLogHome, redo, name), await readFile(join(layout.datadir, redo, name)))
        await rm(join(layout.datadir, redo), { recursive: true })
      }
      const driver = Object.assign(configuredDriver(), { layout: async () => moved })
      const proof = await proveCleanShutdown(moved)
      if (!proof.clean) throw new Error(proof.reason)
      const stop: StoppedAt = { lsn: String(proof.lsn), reading }
      return { layout: moved, driver, clones: new TabletClones(driver), stop, files: await selectFiles(moved) }
    }

    const clonePath = (layout: ServerLayout, file: DataFile) =>
      clonesOf(layout, owner.token, [file])[0]?.to ?? expect.fail()
    const read = async (paths: readonly string[]) =>
      await Promise.all(
        paths.map(async (path) =>
          createHash('sha256')
            .update(await readFile(path))
            .digest('hex'),
        ),
      )

    test.each([false, true])(
      'hold what the files held, in each data root, whatever becomes of those (redo elsewhere: %s)',
      async (elsewhere) => {
        const { layout, clones, stop, files } = await arrange(elsewhere)
        const before = await read(files.map(({ path }) => path))
        expect(await clones.prepare(owner, never)).toBe(files.length)
        await clones.cloneAhead(owner.token, never)
        expect(await clones.make(owner, stop, never)).toBe(files.length)
        for (const { path } of files) await writeFile(path, 'overwritten')
        await clones.copyFrom(owner, never, async (clone) => {
          expect(clone.files.map(({ base, name, size }) => ({ base, name, size }))).toEqual(
            files.map(({ base, name, size }) => ({ base, name, size })),
          )
          expect(await read(clone.files.map(({ path }) => path))).toEqual(before)
          expect(clone.record.made).toMatchObject({ ...stop, files: files.length })
        })
        const roots = [layout.datadir, layout.innodbLogHome]
        expect(roots.map((root) => existsSync(cloneFolder(root, owner.token)))).toEqual([true, true])
        const ledger = copyLedgerPath(layout.datadir, owner.backup)
        await mkdir(dirname(ledger))
        await writeFile(ledger, '')
        await clones.drop(owner.token)
        expect(existsSync(ledger)).toBe(false)
        expect(await clones.all()).toEqual([])
        for (const root of roots) expect(await namesIn(root)).toEqual([])
      },
    )

    test('what an attempt that died has made is made again; what was not there when mysqld had stopped is not in it', async () => {
      const { layout, driver, clones, stop, files } = await arrange()
      const dropped = join(layout.datadir, 'mysql', 'dropped.ibd')
      await writeFile(dropped, 'dropped while clients left')
      await mkdir(join(layout.datadir, 'gone'))
      await writeFile(join(layout.datadir, 'gone', 'gone.ibd'), 'a database')
      await new TabletClones(driver).prepare(owner, never)
      await rm(dropped)
      await rm(join(layout.datadir, 'gone'), { recursive: true })
      const [, half] = files.map((file) => clonePath(layout, file))
      await writeFile(half ?? '', 'half a clone, and longer than the file is')
      await rm(clonePath(layout, files[2] ?? expect.fail()))
      await clones.make(owner, stop, never)
      await clones.copyFrom(owner, never, async (clone) => {
        expect(clone.files).toHaveLength(files.length)
        expect(await read(clone.files.map(({ path }) => path))).toEqual(await read(files.map(({ path }) => path)))
      })
    })

    test('files at rest are cloned while mysqld runs, and again when something became of them until it had stopped', async () => {
      const { layout, clones, stop, files } = await arrange()
      const table = (name: string) => join(layout.datadir, 'sys', name)
      const longAgo = new Date(Date.now() - 60_000)
      const write = async (name: string, content: string, written = longAgo) => {
        await writeFile(table(name), content)
        await utimes(table(name), written, written)
      }
      const names = ['rests', 'written', 'new', 'a', 'b', 'replaced'].map((name) => `${name}.ibd`)
      for (const name of names) if (name !== 'new.ibd') await write(name, `${name} before`)
      // As if it were written at this very moment.
      await write('fresh.ibd', 'written just now', new Date(Date.now() + 60_000))
      await clones.prepare(owner, never)
      await clones.cloneAhead(owner.token, never)
      const all = await selectFiles(layout)
      const pathsOf = (...wanted: string[]) =>
        wanted.map((name) => clonePath(layout, all.find((file) => file.path === table(name)) ?? expect.fail()))
      const [rests = '', fresh = ''] = pathsOf('rests.ibd', 'fresh.ibd')
      expect(await readFile(rests, 'utf8')).toBe('rests.ibd before')
      expect(await readFile(fresh, 'utf8')).toBe('')
      // Nobody looks into what was cloned from a file that is as it was.
      await writeFile(rests, 'rests.ibd BEFORE')
      await writeFile(table('written.ibd'), 'written.ibd later')
      await write('new.ibd', 'came later', longAgo)
      for (const [from, to] of [
        ['a', 'tmp'],
        ['b', 'a'],
        ['tmp', 'b'],
      ])
        await rename(table(`${from}.ibd`), table(`${to}.ibd`))
      await write('other', 'replaced.ibd after!')
      await rename(table('other'), table('replaced.ibd'))
      await clones.make(owner, stop, never)
      await clones.copyFrom(owner, never, async (clone) => {
        expect(clone.files).toHaveLength(files.length + names.length + 1)
        const contents = clone.files.filter(({ path }) => path.includes('/sys/') && !path.endsWith('sys_config.ibd'))
        expect(
          Object.fromEntries(
            await Promise.all(contents.map(async ({ name, path }) => [basename(name), await readFile(path, 'utf8')])),
          ),
        ).toEqual({
          'rests.ibd': 'rests.ibd BEFORE',
          'written.ibd': 'written.ibd later',
          'new.ibd': 'came later',
          'a.ibd': 'b.ibd before',
          'b.ibd': 'a.ibd before',
          'replaced.ibd': 'replaced.ibd after!',
          'fresh.ibd': 'written just now',
        })
      })
    })

    test('one that was whole is taken as it is by the attempt after it', async () => {
      const { clones, layout, stop, files } = await arrange()
      await clones.make(owner, stop, never)
      const path = clonePath(layout, files[0] ?? expect.fail())
      const seen = await clones.copyFrom(owner, never, async (clone) => clone.files.map(({ inode }) => inode))
      expect(await clones.make(owner, stop, never)).toBe(files.length)
      expect(await clones.copyFrom(owner, never, async (clone) => clone.files.map(({ inode }) => inode))).toEqual(seen)
      expect(existsSync(path)).toBe(true)
    })

    test('one of a server that ran in between is refused', async () => {
      const { clones, stop } = await arrange()
      const other = { ...stop, lsn: String(BigInt(stop.lsn) + 1n) }
      await expect(clones.make(owner, other, never)).rejects.toMatchObject({ type: 'FenceBroken' })
      expect(await clones.all()).toEqual([])
    })

    test.each<readonly [string, (path: string) => Promise<unknown>]>([
      ['lost a file', (path) => rm(path)],
      ['has a file that was cut short', (path) => writeFile(path, '')],
      ['has one more file', (path) => writeFile(join(dirname(path), 'more.ibd'), '')],
    ])('one that %s is never copied from', async (_what, damage) => {
      const { clones, layout, stop, files } = await arrange()
      await clones.make(owner, stop, never)
      const table = files.find(({ name }) => name.startsWith('sys/')) ?? expect.fail()
      await damage(clonePath(layout, table))
      await expect(clones.copyFrom(owner, never, () => expect.fail())).rejects.toMatchObject({
        type: 'FenceBroken',
        message: expect.stringContaining('does not hold the files that were cloned'),
      })
    })

    test("one that is not whole, or another run's, or dropped is never copied from", async () => {
      const { clones, stop } = await arrange()
      await clones.prepare(owner, never)
      const refused = { type: 'FenceBroken', message: expect.stringContaining('has no clone') }
      await expect(clones.copyFrom(owner, never, () => expect.fail())).rejects.toMatchObject(refused)
      await clones.make(owner, stop, never)
      const other = { ...owner, runId: 'run-2' }
      await expect(clones.copyFrom(other, never, () => expect.fail())).rejects.toMatchObject(refused)
      await clones.drop(owner.token)
      await expect(clones.copyFrom(owner, never, () => expect.fail())).rejects.toMatchObject(refused)
    })

    test('a second attempt to copy begins when the first has stopped, and so does dropping', async () => {
      const { clones, stop, layout } = await arrange()
      await clones.make(owner, stop, never)
      const events: string[] = []
      const began = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const attempts = began.map(
        (begin, at) => () =>
          clones.copyFrom(owner, never, async (_clone, { signal }) => {
            events.push(`${at} begins`)
            begin.resolve()
            await new Promise((resolve) => signal.addEventListener('abort', resolve))
            // It takes its time, as a call to a store does.
            await new Promise((resolve) => setTimeout(resolve, 50))
            events.push(`${at} stops, clone there: ${existsSync(cloneFolder(layout.datadir, owner.token))}`)
            throw signal.reason
          }),
      )
      const outcomes: Promise<unknown>[] = []
      for (const [at, attempt] of attempts.entries()) {
        outcomes.push(attempt().catch((error: unknown) => error))
        await began[at]?.promise
      }
      await clones.drop(owner.token)
      expect(events).toEqual(['0 begins', '0 stops, clone there: true', '1 begins', '1 stops, clone there: true'])
      expect(existsSync(cloneFolder(layout.datadir, owner.token))).toBe(false)
      for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ type: 'FenceBroken' })
    })

    test('copying that is given up ends with the reason for it', async () => {
      const { clones, stop } = await arrange()
      await clones.make(owner, stop, never)
      const reason = new TabletkeeperError('StorageFull', 'no room')
      const copying = clones.copyFrom(owner, never, async (_clone, work) => {
        work.giveUp(reason)
        work.signal.throwIfAborted()
      })
      await expect(copying).rejects.toBe(reason)
    })

    test('one that is given up is gone, and its run is told why: now, or when it comes to copy', async () => {
      const { clones, stop } = await arrange()
      const reason = new TabletkeeperError('StorageFull', 'no room')
      await clones.prepare(owner, never)
      expect(await clones.giveUp(async () => reason)).toMatchObject([{ clone: { made: null }, reason }])
      expect(await clones.all()).toEqual([])
      await clones.make(owner, stop, never)
      expect(await clones.giveUp(async () => undefined)).toEqual([])
      const begun = Promise.withResolvers<void>()
      const copying = clones.copyFrom(owner, never, async (_clone, { signal }) => {
        begun.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        throw signal.reason
      })
      const ended = expect(copying).rejects.toBe(reason)
      await begun.promise
      expect(await clones.giveUp(async () => reason)).toMatchObject([{ clone: { runId: owner.runId }, reason }])
      await ended
      expect(await clones.all()).toEqual([])
      await expect(clones.copyFrom(owner, never, () => expect.fail())).rejects.toBe(reason)
      await clones.drop(owner.token)
      await expect(clones.copyFrom(owner, never, () => expect.fail())).rejects.toMatchObject({ type: 'FenceBroken' })
    })

    test('a record that cannot be read is told of, and nothing is dropped by it', async () => {
      const { clones, layout, stop } = await arrange()
      await clones.make(owner, stop, never)
      const path = join(privateFolderPath(layout.datadir), `clone-${owner.token}.json`)
      await appendFile(path, '}')
      await expect(clones.all()).rejects.toMatchObject({ type: 'FenceBroken', message: expect.stringContaining(path) })
    })
  })
}

test('a directory in which no probe can be written is an error, and no "cannot be cloned"', async () => {
  const directory = await temporaryDirectory()
  await writeFile(privateFolderPath(directory), 'a file where the folder would be')
  await chmod(directory, 0o500)
  await expect(canReflink(directory)).rejects.toBeInstanceOf(Error)
})

async function namesIn(root: string): Promise<string[]> {
  return (await readdir(privateFolderPath(root))).filter((name) => name.startsWith('clone'))
}

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { replacedFolder, stagingFolder } from '../../mysql/swap/folders.ts'
import { journalPath } from '../../mysql/swap/journal.ts'
import { recoverSwap } from '../../mysql/swap/recovery.ts'
import { beginSwap, commitSwap, discardStaging } from '../../mysql/swap/swap.ts'
import { lockFile } from '../../mysql/system/file-lock.ts'
import { mount, NO_MOUNTS, unmount } from '../storage/mounts.ts'
import { CrashingFiles, type CrashPoint, crashes } from './crashing-files.ts'
import { arrangeScene, RUN, type Scene, type SceneShape } from './swap-scene.ts'

const SHAPE: SceneShape = {
  old: ['mysql.ibd', 'undo_001', 'mysql/user.sdi', 'dropped/t.ibd', 'auto.cnf'],
  staged: ['mysql.ibd', 'undo_001', 'mysql/user.sdi', 'added/t.ibd', 'auto.cnf'],
  oldSystem: ['ibdata1', 'ib_buffer_pool'],
  stagedSystem: ['ibdata1', 'ibdata2'],
  oldLogs: ['binlog.000001', 'binlog.index'],
}
/** As small as it can be and still have every kind of move: what is tried with every pair of crash points. */
const SMALL: SceneShape = {
  old: ['mysql.ibd', 'dropped'],
  staged: ['mysql.ibd', 'added'],
  oldSystem: ['ibdata1'],
  stagedSystem: ['ibdata1'],
  oldLogs: ['binlog.000001'],
}
const EMPTY_TARGET: SceneShape = { ...SMALL, old: [], oldSystem: [], oldLogs: [] }

async function inScene<T>(shape: SceneShape, use: (scene: Scene) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-swap-'))
  try {
    return await use(await arrangeScene(directory, shape))
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function operationsOf(shape: SceneShape, work: (scene: Scene, files: CrashingFiles) => Promise<unknown>) {
  return await inScene(shape, async (scene) => {
    const files = new CrashingFiles()
    await work(scene, files)
    return files.count
  })
}

/** Whenever the dictionary is in its place, so that a mysqld might start, the data are whole, and all of one kind. */
async function expectNoMixture(scene: Scene): Promise<void> {
  const now = await scene.look()
  const dictionary = now.get('data/mysql.ibd')
  if (dictionary === undefined) return
  const isNew = dictionary.startsWith('new')
  const staged = [...now].filter(([, content]) => !(isNew && content.startsWith('made')))
  expect(new Map(staged)).toEqual(isNew ? scene.new : scene.old)
}

async function expectOldInPlace(scene: Scene): Promise<void> {
  expect(await scene.look()).toEqual(scene.old)
  expect(await recoverSwap(scene.datadir)).toBe('none')
}

async function expectNewInPlace(scene: Scene): Promise<void> {
  expect(await scene.look()).toEqual(scene.new)
  expect(await scene.aside()).toEqual([])
  expect(await recoverSwap(scene.datadir)).toBe('none')
}

/** Recovers, crashing at each of `points` in turn, and then whole. */
async function recoverThrough(scene: Scene, points: readonly CrashPoint[]): Promise<void> {
  for (const point of points) {
    if (!(await crashes((files) => recoverSwap(scene.datadir, files), point))) return
    await expectNoMixture(scene)
  }
  await recoverSwap(scene.datadir, new CrashingFiles())
}

describe('a swap', () => {
  test('puts the staged entries in place, keeps the host’s own, and deletes the old only when it is committed', () =>
    inScene(SHAPE, async (scene) => {
      await beginSwap(scene.plan)
      expect(await scene.look()).toEqual(scene.new)
      expect((await scene.aside()).filter((content) => content.startsWith('old'))).toHaveLength(9)
      await beginSwap(scene.plan)
      await commitSwap(scene.datadir, RUN)
      await commitSwap(scene.datadir, RUN)
      await expectNewInPlace(scene)
    }))

  test('is rolled back with everything that a mysqld made on the new data, which cannot be swapped in again', () =>
    inScene(SHAPE, async (scene) => {
      await beginSwap(scene.plan)
      await scene.run()
      expect(await recoverSwap(scene.datadir)).toBe('rolled back')
      await expectOldInPlace(scene)
      await expect(beginSwap(scene.plan)).rejects.toThrow(/has not staged mysql.ibd/)
      await discardStaging(scene.plan.roots, RUN)
      expect(await scene.aside()).toEqual([])
      await expectOldInPlace(scene)
    }))

  test('that was cut short before any mysqld could run may be tried again with the same staging', () =>
    inScene(SHAPE, async (scene) => {
      expect(await crashes((files) => beginSwap(scene.plan, files), { operation: 16, halfway: false })).toBe(true)
      await expect(beginSwap(scene.plan)).rejects.toThrow(/half done/)
      await expect(commitSwap(scene.datadir, RUN)).rejects.toThrow(/half done/)
      await expect(discardStaging(scene.plan.roots, RUN)).rejects.toThrow(/under way/)
      expect(await recoverSwap(scene.datadir)).toBe('rolled back')
      await beginSwap(scene.plan)
      expect(await scene.look()).toEqual(scene.new)
    }))

  test('rolled back but for its journal does not take what a mysqld then wrote to the old data', () =>
    inScene(SHAPE, async (scene) => {
      await beginSwap(scene.plan)
      const total = await operationsOf(SHAPE, async (other, files) => {
        await beginSwap(other.plan)
        await recoverSwap(other.datadir, files)
      })
      // The last five: three folders removed, the journal removed, its directory synced.
      const point = { operation: total - 5, halfway: false }
      expect(await crashes((files) => recoverSwap(scene.datadir, files), point)).toBe(true)
      expect(await scene.look()).toEqual(scene.old)
      await scene.run()
      const withNewFiles = await scene.look()
      await using _mysqld = await lockFile(scene.plan.systemTablespace)
      expect(await recoverSwap(scene.datadir)).toBe('rolled back')
      expect(await scene.look()).toEqual(withNewFiles)
    }))
})

describe('a swap refuses, and moves nothing, when', () => {
  const refuses = (disturb: (scene: Scene) => Promise<unknown>, message: RegExp) =>
    inScene(SHAPE, async (scene) => {
      await disturb(scene)
      const before = await scene.look()
      await expect(beginSwap(scene.plan)).rejects.toMatchObject({
        type: 'Refused',
        message: expect.stringMatching(message),
      })
      expect(await scene.look()).toEqual(before)
      expect(await recoverSwap(scene.datadir)).toBe('none')
    })
  const staged = (scene: Scene) => stagingFolder(scene.datadir, RUN)

  test('nothing is staged', () =>
    refuses((scene) => rm(staged(scene), { recursive: true }), /has not staged mysql.ibd/))

  test('something is staged that would replace what the host keeps', () =>
    refuses((scene) => writeFile(join(staged(scene), 'server-key.pem'), 'theirs'), /server-key.pem is staged/))

  test('old data of the same run are left somewhere', async () => {
    const leave = async (scene: Scene) => {
      await mkdir(replacedFolder(scene.datadir, RUN))
      await writeFile(join(replacedFolder(scene.datadir, RUN), 'ibdata1'), 'old')
    }
    await refuses(leave, /holds old data already/)
    await inScene(SHAPE, async (scene) => {
      await leave(scene)
      await expect(discardStaging(scene.plan.roots, RUN)).rejects.toThrow(/holds old data/)
    })
  })

  test.skipIf(NO_MOUNTS)(`an entry is a mount point itself${NO_MOUNTS ? ` (${NO_MOUNTS})` : ''}`, () =>
    inScene(SHAPE, async (scene) => {
      const database = join(scene.datadir, 'dropped')
      await mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', database)
      try {
        const message = expect.stringMatching(/dropped is on another file system/)
        await expect(beginSwap(scene.plan)).rejects.toMatchObject({ type: 'Refused', message })
      } finally {
        await unmount(database)
      }
      await expectOldInPlace(scene)
    }),
  )

  test('the system tablespace is in use', () =>
    inScene(SHAPE, async (scene) => {
      await using _mysqld = await lockFile(scene.plan.systemTablespace)
      await expect(beginSwap(scene.plan)).rejects.toMatchObject({ type: 'Refused', retryable: true })
      await expectOldInPlace(scene)
    }))
})

test('a journal that cannot be read stops everything, and says where the old data are', () =>
  inScene(SHAPE, async (scene) => {
    await beginSwap(scene.plan)
    await writeFile(journalPath(scene.datadir), '{"format":1,"run":')
    for (const attempt of [() => recoverSwap(scene.datadir), () => commitSwap(scene.datadir, RUN)]) {
      await expect(attempt()).rejects.toMatchObject({ type: 'FenceBroken', hint: expect.stringMatching(/replaced-/) })
    }
    expect((await scene.aside()).filter((content) => content.startsWith('old'))).toHaveLength(9)
  }))

describe('a crash at any single point', () => {
  for (const [name, shape] of Object.entries({ 'on a tablet with data': SMALL, 'on an empty tablet': EMPTY_TARGET })) {
    test(`of a swap ${name}, and at every other point of the recovery, leaves the old data whole`, async () => {
      const steps = await operationsOf(shape, (scene, files) => beginSwap(scene.plan, files))
      expect(steps).toBeGreaterThan(15)
      for (let operation = 0; operation <= steps; operation += 1) {
        const swapPoint = { operation, halfway: operation % 2 === 1 }
        const recoverySteps = await inScene(shape, async (scene) => {
          await crashes((files) => beginSwap(scene.plan, files), swapPoint)
          await expectNoMixture(scene)
          const files = new CrashingFiles()
          await recoverSwap(scene.datadir, files)
          await expectOldInPlace(scene)
          return files.count
        })
        for (let recoveryOperation = operation % 2; recoveryOperation < recoverySteps; recoveryOperation += 2) {
          await inScene(shape, async (scene) => {
            await crashes((files) => beginSwap(scene.plan, files), swapPoint)
            await recoverThrough(scene, [{ operation: recoveryOperation, halfway: operation % 4 < 2 }])
            await expectOldInPlace(scene)
          })
        }
      }
    })
  }

  test('of a commit leaves old data that can come back, or new data that stay', async () => {
    const steps = await operationsOf(SHAPE, async (scene, files) => {
      await beginSwap(scene.plan)
      await commitSwap(scene.datadir, RUN, files)
    })
    for (let operation = 0; operation < steps; operation += 1) {
      for (const halfway of [false, true]) {
        await inScene(SHAPE, async (scene) => {
          await beginSwap(scene.plan)
          expect(await crashes((files) => commitSwap(scene.datadir, RUN, files), { operation, halfway })).toBe(true)
          // The journal becomes a committed one by the second operation, a rename.
          const outcome = operation < 2 ? 'rolled back' : 'rolled forward'
          const end = operation === steps - 1 ? 'none' : outcome
          expect(await recoverSwap(scene.datadir)).toBe(end)
          if (outcome === 'rolled back') await expectOldInPlace(scene)
          else await expectNewInPlace(scene)
        })
      }
    }
  })
})

const entry = fc.constantFrom(
  'undo_001',
  'a/t.ibd',
  'b/t.ibd',
  'b/u.ibd',
  'general.ibd',
  'auto.cnf',
  'c/x.sdi',
  'stray',
)
const entries = fc.uniqueArray(entry, { maxLength: 5 })
const systemEntries = fc.subarray(['ibdata2', 'ib_buffer_pool'])
const logEntries = fc.subarray(['binlog.000001', 'binlog.000002', 'binlog.index'])
const shapes: fc.Arbitrary<SceneShape> = fc
  .record({
    hasData: fc.boolean(),
    old: entries,
    staged: entries,
    oldSystem: systemEntries,
    stagedSystem: systemEntries,
    oldLogs: logEntries,
  })
  .map(({ hasData, ...shape }) => ({
    old: hasData ? ['mysql.ibd', ...shape.old] : [],
    oldSystem: hasData ? ['ibdata1', ...shape.oldSystem] : [],
    oldLogs: shape.oldLogs,
    staged: [...shape.staged, 'mysql.ibd'],
    stagedSystem: [...shape.stagedSystem, 'ibdata1'],
  }))
const crashPoints = fc.array(fc.record({ operation: fc.nat({ max: 45 }), halfway: fc.boolean() }), { maxLength: 4 })

test('whatever is in the roots, and however often everything crashes, the outcome is all old or all new', async () => {
  const scenario = fc.record({
    shape: shapes,
    swap: fc.record({ operation: fc.nat({ max: 60 }), halfway: fc.boolean() }),
    ranOnNew: fc.boolean(),
    commit: fc.option(fc.record({ operation: fc.nat({ max: 14 }), halfway: fc.boolean() }), { nil: undefined }),
    recoveries: crashPoints,
  })
  await fc.assert(
    fc.asyncProperty(scenario, ({ shape, swap, ranOnNew, commit, recoveries }) =>
      inScene(shape, async (scene) => {
        const isCutShort = await crashes((files) => beginSwap(scene.plan, files), swap)
        await expectNoMixture(scene)
        if (!isCutShort && commit) await crashes((files) => commitSwap(scene.datadir, RUN, files), commit)
        else if (!isCutShort && ranOnNew) await scene.run()
        await recoverThrough(scene, recoveries)
        const isNew = !isCutShort && commit !== undefined && commit.operation >= 2
        if (isNew) await expectNewInPlace(scene)
        else await expectOldInPlace(scene)
      }),
    ),
    { numRuns: 150 },
  )
})

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { DataRoot } from '../../mysql/data/data-roots.ts'
import { PRIVATE_FOLDER } from '../../mysql/data/private-folder.ts'
import { stagingFolder } from '../../mysql/swap/folders.ts'
import type { SwapPlan } from '../../mysql/swap/swap.ts'

/** Names of entries; those with a `/` make a directory. A file's content is the word and its name. */
export interface SceneShape {
  /** Whether the target has data at all. */
  readonly old: readonly string[]
  readonly staged: readonly string[]
  /** Old and staged entries of a second and a third root, of which one takes everything it may, the other logs only. */
  readonly oldSystem: readonly string[]
  readonly stagedSystem: readonly string[]
  readonly oldLogs: readonly string[]
}

/** Real directories that stand for a tablet's data roots: a data directory, InnoDB's home, and binary logs. */
export interface Scene {
  readonly plan: SwapPlan
  readonly datadir: string
  /** What a person sees in the roots, without our folders: path → content. */
  look(): Promise<Map<string, string>>
  readonly old: ReadonlyMap<string, string>
  readonly new: ReadonlyMap<string, string>
  /** What lies in our folders, by content: to see that nothing was deleted. */
  aside(): Promise<string[]>
  /** As a mysqld that ran on the new data: it made files of its own. */
  run(): Promise<void>
}

export const RUN = '0199-run'

/** What stays where it is in every swap of a scene: a private key, a pid file, and a hidden folder. */
const KEPT = ['server-key.pem', 'mysqld.pid', '.ssh/config']

export async function arrangeScene(directory: string, shape: SceneShape): Promise<Scene> {
  const [datadir, system, logs] = ['data', 'system', 'logs'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const roots: DataRoot[] = [
    { directory: datadir, takes: { kind: 'all', keep: ['.*\\.pem', 'mysqld\\.pid'], keepDirectories: [] } },
    { directory: system, takes: { kind: 'named', names: ['ibdata\\d', 'ib_buffer_pool', 'ibtmp1'] } },
    { directory: logs, takes: { kind: 'named', names: ['binlog\\.\\d{6}', 'binlog\\.index'] } },
  ]
  for (const root of roots) {
    await mkdir(root.directory, { recursive: true })
    await mkdir(stagingFolder(root.directory, RUN), { recursive: true })
  }
  await fill(datadir, KEPT, 'kept')
  await fill(logs, ['other.log'], 'kept')
  const kept = await snapshot(roots)
  await fill(datadir, shape.old, 'old')
  await fill(system, shape.oldSystem, 'old')
  await fill(logs, shape.oldLogs, 'old')
  await fill(stagingFolder(datadir, RUN), shape.staged, 'new')
  await fill(stagingFolder(system, RUN), shape.stagedSystem, 'new')
  const path = (root: string, name: string) => relative(directory, join(root, name))
  const fresh = [
    ...shape.staged.map((name) => [path(datadir, name), `new ${name}`] as const),
    ...shape.stagedSystem.map((name) => [path(system, name), `new ${name}`] as const),
  ]
  return {
    datadir,
    plan: { run: RUN, roots, systemTablespace: join(system, 'ibdata1') },
    look: () => snapshot(roots),
    old: await snapshot(roots),
    new: new Map([...kept, ...fresh]),
    aside: async () => {
      const folders = roots.map((root) => join(root.directory, PRIVATE_FOLDER))
      const trees = await Promise.all(folders.map((folder) => tree(folder, directory)))
      return trees.flatMap((files) => [...files.values()])
    },
    run: async () => {
      await fill(datadir, ['undo_009', '#innodb_temp/temp_1.ibt', 'auto.cnf.made'], 'made')
      await fill(system, ['ibtmp1'], 'made')
      await fill(logs, ['binlog.000099'], 'made')
    },
  }

  async function snapshot(of: readonly DataRoot[]): Promise<Map<string, string>> {
    const trees = await Promise.all(of.map((root) => tree(root.directory, directory)))
    return new Map(trees.flatMap((files) => [...files]).filter(([name]) => !name.includes(PRIVATE_FOLDER)))
  }
}

async function fill(directory: string, names: readonly string[], word: string): Promise<void> {
  for (const name of names) {
    const path = join(directory, name)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, `${word} ${name}`)
  }
}

async function tree(directory: string, base: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    await Promise.all(files.map(async (path) => [relative(base, path), await readFile(path, 'utf8')] as const)),
  )
}

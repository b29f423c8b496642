// npm run check:package: installs what would be published into an empty folder, as a user does, and uses it there.
// Needs a built dist/.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tryToDownload } from '../sandbox/download.ts'
import { openStore } from '../storage/kinds.ts'
import { nameAt, SHARD, storeBackup } from '../test/storage/sample-backup.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const PUBLISHED =
  /^(dist\/|docs\/|(README|CHANGELOG|SECURITY|LICENSE)(\.md)?$|package\.json$|tabletkeeper\.example\.yaml$|docker-compose\.temporal\.yml$)/
const NEEDED = [
  'dist/client/cli.js',
  'dist/client/tabletkeeper.d.ts',
  'dist/workflow-bundle.js',
  'dist/sandbox/sample-shard.js',
  'dist/storage/module-interface.js',
  'dist/storage/conformance/conformance.d.ts',
]

const directory = await mkdtemp(join(tmpdir(), 'a package '))
try {
  const tarball = await pack()
  run(directory, 'npm', 'init', '--yes')
  await tryToDownload('npm install', () =>
    run(directory, 'npm', 'install', '--no-audit', '--no-fund', '--loglevel=error', tarball),
  )
  await assertRuns()
  await assertTypes()
  await assertOwnStorage()
} finally {
  await rm(directory, { recursive: true })
}

/** Packs without building again. Answers the path of the tarball, of which every file is one that was meant. */
async function pack(): Promise<string> {
  const printed = run(root, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', directory)
  const [packed]: { filename: string; files: { path: string }[]; size: number }[] = JSON.parse(printed)
  const paths = packed?.files.map(({ path }) => path) ?? []
  assertEmpty(
    'is missing from the package: did npm run build end well?',
    NEEDED.filter((path) => !paths.includes(path)),
  )
  assertEmpty(
    'should not be in the package',
    paths.filter((path) => !PUBLISHED.test(path)),
  )
  process.stdout.write(`package      OK (${paths.length} files, ${((packed?.size ?? 0) / 1024).toFixed(0)} KiB)\n`)
  return join(directory, packed?.filename ?? '')
}

async function assertRuns(): Promise<void> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const tabletkeeper = join(directory, 'node_modules', '.bin', 'tabletkeeper')
  const storageRoot = join(directory, 'backups')
  await mkdir(storageRoot)
  await storeBackup(await openStore({ kind: 'file', root: storageRoot }), SHARD, nameAt('023004'))
  await writeFile(
    join(directory, 'tabletkeeper.yaml'),
    `storage: { kind: file, root: ${JSON.stringify(storageRoot)} }\nshards: {}\n`,
  )
  assertIncludes('tabletkeeper --version', run(directory, tabletkeeper, '--version'), version)
  assertIncludes('tabletkeeper list', run(directory, tabletkeeper, 'list', SHARD, '--offline'), nameAt('023004'))
}

async function assertTypes(): Promise<void> {
  const program = `
import { Tabletkeeper } from 'tabletkeeper'
import type { ObjectStore } from 'tabletkeeper/storage'
import { describeObjectStore } from 'tabletkeeper/storage/conformance'
export const keeper: Promise<Tabletkeeper> = Tabletkeeper.connect()
export const prove = (store: ObjectStore) => describeObjectStore('mine', async () => ({ open: () => store }))
`
  await writeFile(join(directory, 'program.ts'), program)
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--skipLibCheck', '--noEmit']
  run(directory, join(root, 'node_modules', '.bin', 'tsc'), ...options, 'program.ts')
  process.stdout.write('types        OK (a program that imports tabletkeeper compiles)\n')
}

/** The example of the documentation, as its readers write it. */
async function assertOwnStorage(): Promise<void> {
  const page = await readFile(join(directory, 'node_modules', 'tabletkeeper', 'docs', 'storage-module.md'), 'utf8')
  const [, example = ''] = /<!-- test: storage module -->\n```js\n([\s\S]*?)```/.exec(page) ?? []
  await writeFile(join(directory, 'memory-store.mjs'), example)
  const program = `
import memoryStore from './memory-store.mjs'
const store = memoryStore()
await store.put('commerce/0/x', Buffer.from('x'))
console.log(store.description, (await store.list('')).objects.map(({ key }) => key))
`
  await writeFile(join(directory, 'program.mjs'), program)
  assertIncludes(
    'a store of its own with the installed package',
    run(directory, process.execPath, 'program.mjs'),
    'commerce/0/x',
  )
}

function run(cwd: string, program: string, ...programArguments: string[]): string {
  return execFileSync(program, programArguments, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

function assertIncludes(name: string, printed: string, wanted: string): void {
  if (!printed.includes(wanted))
    throw new Error(`${name} of the installed package did not print ${wanted}:\n${printed}`)
  process.stdout.write(`installed    OK (${name})\n`)
}

function assertEmpty(problem: string, paths: readonly string[]): void {
  if (paths.length > 0) throw new Error(`${paths.join(', ')} ${problem}`)
}

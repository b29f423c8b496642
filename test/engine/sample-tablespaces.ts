import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { badPagesOf, type PageFormat, pageFormatOf } from '../../engine/pages/page-check.ts'
import { parseAlias } from '../../model/alias.ts'
import { selectFiles } from '../../mysql/data/data-directory.ts'
import { readServerLayout } from '../../mysql/settings/my-cnf.ts'
import { initializeMysqld } from '../../sandbox/mysqld-process.ts'
import { type ProvidedMysql, provideMysql } from '../../sandbox/provide-mysql.ts'
import { createTablet } from '../../sandbox/sample-tablet.ts'
import { tabletFiles } from '../../sandbox/tablet-files.ts'

/** A file that a backup of the server would hold, whole. */
export interface ServerFile {
  /** As in `DataFile.name`. */
  readonly name: string
  readonly bytes: Buffer
}

/** A file whose pages can be checked. */
export interface Tablespace extends ServerFile {
  readonly format: PageFormat
}

/** One start of a server, from statements to a clean stop. */
export interface ServerRun {
  readonly options?: readonly string[]
  /** Run in the database `pages`, which is there. */
  readonly statements: readonly string[]
}

interface ServerOptions {
  readonly settings?: Readonly<Record<string, string | number>>
  /** Default: the one that tests use. */
  readonly mysql?: ProvidedMysql
}

/** Runs a real mysqld one or more times and returns what it leaves behind. */
export async function filesOfServer(runs: readonly ServerRun[], options: ServerOptions = {}): Promise<ServerFile[]> {
  const { settings = {}, mysql = await provideMysql() } = options
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-test-'))
  const tablet = await createTablet({ directory, alias: parseAlias('zone1-101'), mysql, settings })
  try {
    // The template has pages of 16 KiB and one system file.
    const isOrdinary = !('innodb_page_size' in settings) && !('innodb_data_file_path' in settings)
    await (isOrdinary ? tablet.initialize() : initializeMysqld(mysql.mysqld, tabletFiles(directory)))
    for (const { options: extra, statements } of runs) {
      await tablet.start(extra)
      await using connection = await tablet.connect()
      await connection.query('CREATE DATABASE IF NOT EXISTS pages')
      await connection.query('USE pages')
      for (const statement of statements) await connection.query(statement)
      await connection.end()
      await tablet.stop()
    }
    const selected = await selectFiles(await readServerLayout(mysql.mysqld, tablet.defaultsFile))
    return await Promise.all(selected.map(async ({ name, path }) => ({ name, bytes: await readFile(path) })))
  } finally {
    await tablet.kill()
    await rm(directory, { recursive: true, force: true })
  }
}

/** Creates a table of every kind of page there is: of indexes, spatial ones too, and of long values; and fills it. */
export function tableOf(name: string, options = ''): string[] {
  return [
    `CREATE TABLE ${name} (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(64), b TEXT, c GEOMETRY NOT NULL SRID 0,
       KEY (a(40)), SPATIAL KEY (c)) ${options}`,
    `INSERT INTO ${name} (a, b, c)
       WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)
       SELECT SHA2(i, 256), REPEAT(SHA2(i + 0.5, 256), 1 + i % 7), POINT(i, i) FROM n`,
    `UPDATE ${name} SET b = REPEAT(SHA2(RAND(id), 256), 500) WHERE id % 100 = 1`,
  ]
}

/** What is wrong with the files, in words: `ibdata1: 3, 4`. */
export function badPagesOfAll(files: readonly ServerFile[]): string[] {
  return files.flatMap(({ name, bytes }) => {
    const format = pageFormatOf(name, bytes)
    const bad = format ? badPagesOf(bytes, 0, format) : []
    return bad.length > 0 ? [`${name}: ${bad.join(', ')}`] : []
  })
}

/** One of the files, which is a tablespace. */
export function tablespace(files: readonly ServerFile[], name: string): Tablespace {
  const file = files.find((candidate) => candidate.name === name)
  const format = file && pageFormatOf(name, file.bytes)
  if (!format) throw new Error(`there is no tablespace ${name}`)
  return { ...file, format }
}

/** The bytes of one page. */
export function pageOf({ bytes, format: { pageSize } }: Tablespace, page: number): Buffer {
  return Buffer.from(bytes.subarray(page * pageSize, (page + 1) * pageSize))
}

/** Numbers of the pages that are not all zero and that a check looks at. */
export function writtenPages(of: Tablespace): number[] {
  const [copiesFrom, copiesTo] = of.format.doublewrite
  const pages = Array.from({ length: of.bytes.length / of.format.pageSize }, (_, page) => page)
  return pages.filter((page) => (page < copiesFrom || page >= copiesTo) && pageOf(of, page).some((byte) => byte !== 0))
}

/** The types of the pages that are not all zero. */
export function typesIn(of: Tablespace): Set<number> {
  return new Set(writtenPages(of).map((page) => pageOf(of, page).readUInt16BE(24)))
}

const PROGRAMS = 'root/usr/sbin'
const PLUGINS = 'root/usr/lib/mysql/plugin'
/** Where the shadow of an installation has files of its own; the rest are links. */
const OWN_DIRECTORIES = ['root', 'root/usr', PROGRAMS, 'root/usr/lib', 'root/usr/lib/mysql', PLUGINS]

/**
 * The installed MySQL with a keyring, for encrypted tables: mysqld looks for its manifest beside the program, so the installation is
 * shadowed in `directory`. Undefined where the installation is not the sandbox's own or has no keyring.
 */
export async function mysqlWithKeyring(directory: string): Promise<ProvidedMysql | undefined> {
  const mysql = await provideMysql()
  const installed = dirname(dirname(mysql.mysqld))
  if (!(await stat(join(installed, PLUGINS, 'component_keyring_file.so')).catch(() => undefined))) return undefined
  for (const place of OWN_DIRECTORIES) {
    await mkdir(join(directory, place), { recursive: true })
    for (const name of await readdir(join(installed, place))) {
      const inside = join(place, name)
      if (!OWN_DIRECTORIES.includes(inside)) await symlink(join(installed, inside), join(directory, inside))
    }
  }
  await cp(join(installed, 'bin'), join(directory, 'bin'), { recursive: true })
  const manifest = { components: 'file://component_keyring_file' }
  await writeFile(join(directory, PROGRAMS, 'mysqld.my'), JSON.stringify(manifest))
  const keyring = { path: join(directory, 'keyring'), read_only: false }
  await writeFile(join(directory, PLUGINS, 'component_keyring_file.cnf'), JSON.stringify(keyring))
  return { ...mysql, mysqld: join(directory, 'bin', 'mysqld') }
}

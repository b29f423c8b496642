import { glob, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'
import { unpackFromSid } from './private-apt.ts'

const PROGRAMS = ['mysql', 'mysqladmin', 'mysqlbinlog']
const PACKAGES = ['mysql-server-core', 'mysql-client-core']
/** Only `mysqld_safe` and the like need Perl. */
const NOT_NEEDED = /^(perl|libperl|libgdbm|libdb)/

/**
 * Installs MySQL from Debian sid into `directory`, which may be moved afterwards: `root/` as packaged, with its own C
 * library, and in `bin/` a script for each program that starts it there.
 * @throws NotFound with what apt said
 */
export async function installMysql(directory: string): Promise<void> {
  const root = join(directory, 'root')
  await unpackFromSid(PACKAGES, root, NOT_NEEDED)
  for (const name of ['doc', 'man', 'locale', 'lintian', 'bash-completion', 'perl5']) {
    await rm(join(root, 'usr', 'share', name), { recursive: true, force: true })
  }
  for (const name of await readdir(join(root, 'usr', 'bin'))) {
    if (!PROGRAMS.includes(name)) await rm(join(root, 'usr', 'bin', name), { recursive: true })
  }
  const loader = await only(root, 'usr/lib/*/ld-linux-*.so.*')
  const libraries = relative(root, join(root, loader, '..'))
  const start = (program: string) =>
    `exec "$root/${loader}" --library-path "$root/${libraries}" "$root/usr/${program}" "$@"`
  const settings = [
    '--lc-messages-dir="$root/usr/share/mysql"',
    '--character-sets-dir="$root/usr/share/mysql/charsets"',
    '--plugin-dir="$root/usr/lib/mysql/plugin"',
  ]
  await mkdir(join(directory, 'bin'))
  await writeScript(join(directory, 'bin', 'mysqld'), `${start('sbin/mysqld')} ${settings.join(' ')}`)
  for (const name of PROGRAMS) await writeScript(join(directory, 'bin', name), start(`bin/${name}`))
}

async function only(root: string, pattern: string): Promise<string> {
  for await (const path of glob(pattern, { cwd: root })) return path
  throw new TabletkeeperError('NotFound', `the packages of MySQL hold no ${pattern}`)
}

/** `--defaults-file` must stay mysqld's first argument: the caller's arguments come first. */
async function writeScript(path: string, command: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\nroot=$(dirname "$(dirname "$(readlink -f "$0")")")/root\n${command}\n`, {
    mode: 0o755,
  })
}

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TabletkeeperError } from '../model/errors.ts'
import { runCommand } from './command.ts'
import { findDebianMirror } from './debian-mirror.ts'
import { tryToDownload } from './download.ts'

/**
 * Unpacks Debian sid's `packages` and everything that they depend on into `root`, without touching the system: apt gets
 * a state of its own, in which nothing is installed. Packages whose name matches `skip` are not unpacked.
 * @throws NotFound where there is no apt or no mirror of Debian, or with what apt said
 */
export async function unpackFromSid(packages: readonly string[], root: string, skip: RegExp): Promise<void> {
  const mirror = await findDebianMirror()
  if (mirror === undefined) {
    throw new TabletkeeperError('NotFound', 'this machine has no Debian mirror among its package sources')
  }
  const state = `${root}.apt`
  const archives = join(state, 'cache', 'archives')
  await mkdir(join(state, 'lists', 'partial'), { recursive: true, mode: 0o700 })
  await mkdir(join(archives, 'partial'), { recursive: true })
  await writeFile(join(state, 'status'), '')
  await writeFile(join(state, 'sources.list'), `deb [${mirror.trust.join(' ')}] ${mirror.uri} sid main\n`)
  const settings = {
    'Dir::State': state,
    'Dir::State::status': join(state, 'status'),
    'Dir::Cache': join(state, 'cache'),
    'Dir::Etc::sourcelist': join(state, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::Etc::preferences': '-',
    'Dir::Etc::preferencesparts': '-',
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Debug::NoLocking': '1',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    // Else an index that could not be fetched is a warning, and what it lists is not found.
    'APT::Update::Error-Mode': 'any',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  }
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  try {
    // Both: a mirror that has moved on since the update no longer has what was to be installed.
    await tryToDownload(`installing ${packages.join(', ')}`, async () => {
      await runCommand('apt-get', ['update', '-qq', ...options])
      await runCommand('apt-get', ['install', '-y', '-qq', '--download-only', ...options, ...packages])
    })
    for (const archive of await readdir(archives)) {
      if (archive.endsWith('.deb') && !skip.test(archive))
        await runCommand('dpkg', ['-x', join(archives, archive), root])
    }
  } finally {
    await rm(state, { recursive: true, force: true })
  }
}

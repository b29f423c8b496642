import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { TabletkeeperError } from '../../model/errors.ts'
import type { ServerLayout } from '../settings/my-cnf.ts'
import { LogMark } from './error-log.ts'
import { askMysqld, runAs } from './mysqld-program.ts'

/** Empty directories, by the base that a MANIFEST gives them. */
export interface InitializedRoots {
  readonly Data: string
  readonly InnoDBData: string
  readonly InnoDBLog: string
}

const TAIL_LINES = 10
/** A virtual machine with a slow disk takes minutes; a mysqld that takes this long waits for something that does not come. */
const INITIALIZE_LIMIT = 15 * 60_000

/**
 * Makes a new server's data in empty directories, as the configuration of `layout` says but for their place: `root@localhost` without a password,
 * no transactions. A server that uses other directories with the same configuration may run meanwhile.
 * @throws MysqldFailed with the end of what mysqld logged
 */
export async function initializeInto(mysqld: string, layout: ServerLayout, roots: InitializedRoots): Promise<void> {
  const log = join(dirname(roots.Data), 'initialize.log')
  await rm(log, { force: true })
  const argv = [
    `--defaults-file=${layout.defaultsFile}`,
    ...(await runAs(layout)),
    '--initialize-insecure',
    `--datadir=${roots.Data}`,
    `--innodb-data-home-dir=${roots.InnoDBData}`,
    `--innodb-log-group-home-dir=${roots.InnoDBLog}`,
    `--innodb-undo-directory=${roots.Data}`,
    `--innodb-doublewrite-dir=${roots.InnoDBData}`,
    // Its statements would count as transactions otherwise.
    '--disable-log-bin',
    `--log-error=${log}`,
  ]
  try {
    await askMysqld(mysqld, argv, INITIALIZE_LIMIT)
  } catch (error) {
    if (!(error instanceof TabletkeeperError) || error.type !== 'MysqldFailed') throw error
    const tail = (await LogMark.atStartOf([log]).linesSince()).slice(-TAIL_LINES)
    throw new TabletkeeperError('MysqldFailed', [`mysqld could not initialize ${roots.Data}`, ...tail].join('\n'), {
      hint: `Correct ${layout.defaultsFile} if it is that; then try again: nothing else was touched.`,
      cause: error,
    })
  }
  await rm(log, { force: true })
  // Keys are the host's own (data-roots.ts); mysqld makes them when there are none.
  for (const name of await readdir(roots.Data)) if (name.endsWith('.pem')) await rm(join(roots.Data, name))
}

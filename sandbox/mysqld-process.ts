import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir, readFile } from 'node:fs/promises'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { isCode } from '../mysql/system/system-error.ts'
import { runCommand } from './command.ts'
import { connectAsRoot } from './root-connection.ts'
import type { TabletFiles } from './tablet-files.ts'
import { waitUntil } from './wait-until.ts'

const LOG_TAIL_LINES = 15

/**
 * Starts mysqld in a session of its own, so that it outlives this process, and waits until it answers.
 * @throws MysqldFailed with the end of its error log. Nothing that was started is left then: a mysqld that waits for the files of another one
 * would come up as soon as that one stops
 */
export async function startMysqld(mysqld: string, files: TabletFiles, extra: readonly string[] = []): Promise<void> {
  const output = await open(files.output, 'a')
  const child = spawn(mysqld, [`--defaults-file=${files.defaultsFile}`, ...extra], {
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
    cwd: '/',
  })
  try {
    await once(child, 'spawn')
    await waitUntil(`mysqld of ${files.datadir} answers`, async () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new TabletkeeperError(
          'MysqldFailed',
          `mysqld of ${files.datadir} ended with ${child.exitCode ?? child.signalCode}`,
        )
      }
      const pid = await mysqldPid(files)
      if (pid !== undefined && pid !== child.pid) {
        throw new TabletkeeperError('MysqldFailed', `another mysqld, ${pid}, came up on ${files.datadir}`)
      }
      return pid !== undefined && (await answers(files.socket))
    })
  } catch (error) {
    child.kill('SIGKILL')
    const message = `${messageOf(error)}\n${await logTail(files)}`
    throw new TabletkeeperError('MysqldFailed', message, { cause: error })
  } finally {
    child.unref()
    await output.close()
  }
}

/** Makes an empty data directory: root without a password. */
export async function initializeMysqld(mysqld: string, files: TabletFiles): Promise<void> {
  try {
    await runCommand(mysqld, [`--defaults-file=${files.defaultsFile}`, '--initialize-insecure'])
  } catch (error) {
    const said = `${messageOf(error)}\n${await logTail(files)}`
    throw new TabletkeeperError('MysqldFailed', `mysqld --initialize-insecure of ${files.datadir} failed\n${said}`, {
      cause: error,
      ...(/permission denied|errno: 13/i.test(said)
        ? {
            hint: 'Where AppArmor confines the packaged mysqld (Ubuntu), set MYSQLD to one that was unpacked elsewhere.',
          }
        : {}),
    })
  }
}

/** Sends `signal` to mysqld, if it runs, and waits until it has ended. SIGTERM is a clean shutdown. */
export async function endMysqld(files: TabletFiles, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const pid = await mysqldPid(files)
  if (pid === undefined) return
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It was about to end by itself.
    if (!isCode(error, 'ESRCH')) throw error
  }
  await waitUntil(`mysqld ${pid} of ${files.datadir} has ended`, async () => !(await isMysqld(pid, files)))
}

/** The process that runs on these files, by its pid file; undefined when there is none. */
export async function mysqldPid(files: TabletFiles): Promise<number | undefined> {
  const pid = Number(await readFile(files.pidFile, 'utf8').catch(() => ''))
  return pid > 0 && (await isMysqld(pid, files)) ? pid : undefined
}

/**
 * A pid may belong to somebody else by now, who has another command line. A mysqld that is about to end has none any
 * more, and its first thread may be a zombie before the others are gone: both still hold locks, and count as running.
 */
async function isMysqld(pid: number, files: TabletFiles): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  if (threads.length === 0) return false
  const state = /\) (\S)/.exec(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''))?.[1] ?? 'X'
  if (threads.length === 1 && 'ZX'.includes(state)) return false
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine === '' || commandLine.includes(files.defaultsFile)
}

async function answers(socket: string): Promise<boolean> {
  try {
    await using connection = await connectAsRoot(socket)
    await connection.query('SELECT 1')
    return true
  } catch (error) {
    // Somebody who may not log in is an answer too: restored data bring their own users.
    return error instanceof Error && 'code' in error && error.code === 'ER_ACCESS_DENIED_ERROR'
  }
}

async function logTail(files: TabletFiles): Promise<string> {
  const texts = await Promise.all([files.output, files.errorLog].map((path) => readFile(path, 'utf8').catch(() => '')))
  return texts.join('').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}

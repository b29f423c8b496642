import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { runGo } from './go-build.ts'

/** A gateway that serves Amazon S3's protocol over a directory. */
const MODULE = 'github.com/versity/versitygw'
const VERSION = 'v1.8.0'

/**
 * The program versitygw: `$VERSITYGW`, PATH, the cache, else built into the cache from the Go module proxy, which takes about a minute.
 * @throws InvalidConfig when `$VERSITYGW` does not run; NotFound when it is not there and cannot be built
 */
export async function provideVersitygw(): Promise<string> {
  const named = process.env['VERSITYGW']
  if (named) {
    try {
      await runCommand(named, ['--version'])
    } catch (error) {
      throw new TabletkeeperError('InvalidConfig', `VERSITYGW=${named} cannot be used: ${messageOf(error)}`, {
        hint: 'Set VERSITYGW to the program, or unset it.',
        cause: error,
      })
    }
    return named
  }
  const onPath = await findProgram('versitygw')
  return onPath ?? join(await cached(`versitygw-${VERSION}`, announceAndBuild), 'bin/versitygw')
}

async function announceAndBuild(directory: string): Promise<void> {
  process.stderr.write(`building versitygw ${VERSION} into the cache (once, about a minute) …\n`)
  const bin = join(directory, 'bin')
  await mkdir(bin)
  try {
    const source = `${MODULE}/cmd/versitygw@${VERSION}`
    await runGo(['install', '-ldflags=-s -w', source], { bin })
    await runCommand(join(bin, 'versitygw'), ['--version'])
  } catch (error) {
    if (!isError(error)) throw error
    throw new TabletkeeperError(
      'NotFound',
      `versitygw is not on this machine and could not be built privately: ${error.message}`,
      { hint: 'Install Go 1.26 or later, or set VERSITYGW to the program.', cause: error },
    )
  }
}

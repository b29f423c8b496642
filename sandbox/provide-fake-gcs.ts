import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { runGo } from './go-build.ts'

/** A stand-in for Google Cloud Storage. */
const MODULE = 'github.com/fsouza/fake-gcs-server'
const VERSION = 'v1.56.1'

/**
 * The program fake-gcs-server: `$FAKE_GCS_SERVER`, PATH, the cache, else built into the cache from the Go module proxy, which takes a
 * minute or two.
 * @throws InvalidConfig when `$FAKE_GCS_SERVER` does not run; NotFound when it is not there and cannot be built
 */
export async function provideFakeGcs(): Promise<string> {
  const named = process.env['FAKE_GCS_SERVER']
  if (named) {
    try {
      await assertRuns(named)
    } catch (error) {
      throw new TabletkeeperError('InvalidConfig', `FAKE_GCS_SERVER=${named} cannot be used: ${messageOf(error)}`, {
        hint: 'Set FAKE_GCS_SERVER to the program, or unset it.',
        cause: error,
      })
    }
    return named
  }
  const onPath = await findProgram('fake-gcs-server')
  return onPath ?? join(await cached(`fake-gcs-server-${VERSION}`, announceAndBuild), 'bin/fake-gcs-server')
}

/** It knows no `--version`, and ends with 0 when it is asked for help. */
async function assertRuns(program: string): Promise<void> {
  await runCommand(program, ['-help'])
}

async function announceAndBuild(directory: string): Promise<void> {
  process.stderr.write(`building fake-gcs-server ${VERSION} into the cache (once, a minute or two) …\n`)
  const bin = join(directory, 'bin')
  await mkdir(bin)
  try {
    const source = `${MODULE}@${VERSION}`
    await runGo(['install', '-ldflags=-s -w', source], { bin })
    await assertRuns(join(bin, 'fake-gcs-server'))
  } catch (error) {
    if (!isError(error)) throw error
    throw new TabletkeeperError(
      'NotFound',
      `fake-gcs-server is not on this machine and could not be built privately: ${error.message}`,
      { hint: 'Install Go 1.26 or later, or set FAKE_GCS_SERVER to the program.', cause: error },
    )
  }
}

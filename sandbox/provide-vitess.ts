import { mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isError, messageOf, TabletkeeperError } from '../model/errors.ts'
import { cacheDirectory, cached } from './cache.ts'
import { findProgram, runCommand } from './command.ts'
import { runGo } from './go-build.ts'

/** Vitess 24.0.4, as the Go module proxy numbers it. */
const MODULE = 'vitess.io/vitess@v0.24.4'
const VERSION = '24.0.4'
const BUILT = `vitess-${VERSION}`
const PROGRAMS = ['vttablet', 'vtctld', 'vtctldclient', 'mysqlctl'] as const

export type VitessProgram = (typeof PROGRAMS)[number]

/**
 * The directory of the programs of Vitess: `$VITESS_BIN`, PATH, the cache, else built into the cache from the Go module
 * proxy, which takes minutes.
 * @throws InvalidConfig when `$VITESS_BIN` lacks one; NotFound when they are not there and cannot be built
 */
export async function provideVitess(): Promise<string> {
  const named = process.env['VITESS_BIN']
  if (named) {
    try {
      for (const program of PROGRAMS) await runCommand(join(named, program), ['--version'])
    } catch (error) {
      throw new TabletkeeperError('InvalidConfig', `VITESS_BIN=${named} cannot be used: ${messageOf(error)}`, {
        hint: `Set VITESS_BIN to a directory that holds ${PROGRAMS.join(', ')}, or unset it.`,
        cause: error,
      })
    }
    return named
  }
  const onPath = await findProgram('vttablet')
  if (onPath !== undefined) return dirname(onPath)
  return join(await cached(BUILT, announceAndBuild), 'bin')
}

/** Whether `provideVitess` has them without building anything. */
export async function hasVitess(): Promise<boolean> {
  if (process.env['VITESS_BIN'] || (await findProgram('vttablet')) !== undefined) return true
  return stat(join(cacheDirectory(), BUILT)).then(
    () => true,
    () => false,
  )
}

async function announceAndBuild(directory: string): Promise<void> {
  process.stderr.write(`building Vitess ${VERSION} into the cache (once, some minutes) …\n`)
  try {
    await build(directory)
  } catch (error) {
    if (!isError(error)) throw error
    throw new TabletkeeperError(
      'NotFound',
      `Vitess is not on this machine and could not be built privately: ${error.message}`,
      { hint: 'Install Go 1.26 or later, or set VITESS_BIN to the directory of its programs.', cause: error },
    )
  }
}

/** `go install` refuses modules with exclude directives, so a module of our own requires Vitess. */
async function build(directory: string): Promise<void> {
  const [path, version] = MODULE.split('@')
  const source = join(directory, 'source')
  await mkdir(source)
  await writeFile(join(source, 'go.mod'), `module sandbox\n\ngo 1.26\n\nrequire ${path} ${version}\n`)
  const imports = PROGRAMS.map((program) => `import _ "${path}/go/cmd/${program}"`)
  await writeFile(join(source, 'tools.go'), ['//go:build tools', '', 'package tools', '', ...imports, ''].join('\n'))
  await runGo(['mod', 'tidy', '-e'], { cwd: source })
  const options = ['-mod=mod', '-buildvcs=false', '-ldflags=-s -w', '-o', `${join(directory, 'bin')}/`]
  for (const program of PROGRAMS) {
    await runGo(['build', ...options, `${path}/go/cmd/${program}`], { cwd: source })
  }
}

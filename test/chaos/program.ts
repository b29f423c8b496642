import { copyFile, mkdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../../sandbox/command.ts'
import { bundleWorkflows } from '../../scripts/bundle-workflows.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The program as users have it, compiled at this moment, so that what is edited meanwhile does not matter to the run. */
export interface Program extends AsyncDisposable {
  /** The command line's file. */
  readonly cli: string
}

/** Compiles the program and bundles its workflows; both are removed when it is disposed of. */
export async function compileProgram(): Promise<Program> {
  // Below `node_modules`, where compiled code finds the packages that it imports; the bundler wants a path without links.
  const packages = await realpath(join(ROOT, 'node_modules'))
  const place = join(packages, '.cache', 'tabletkeeper-chaos', String(process.pid))
  await mkdir(place, { recursive: true })
  const dispose = () => rm(place, { recursive: true, force: true })
  try {
    const options = ['--noCheck', '--declaration', 'false', '--outDir', place]
    await runCommand('tsc', ['-p', join(ROOT, 'tsconfig.build.json'), ...options])
    await copyFile(join(ROOT, 'package.json'), join(place, 'package.json'))
    await bundleWorkflows(place)
  } catch (error) {
    await dispose()
    throw error
  }
  return { cli: join(place, 'client', 'cli.js'), [Symbol.asyncDispose]: dispose }
}

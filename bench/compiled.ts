import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../sandbox/command.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Below `node_modules`, where compiled code finds the packages that it imports. */
const PLACE = join(ROOT, 'node_modules', '.cache', 'tabletkeeper-bench')

let compiled: Promise<string> | undefined

/**
 * The directory of this project as JavaScript, compiled once in each run of the benchmark: what users run. Stripping types takes 20 MB in
 * each thread, and time at its start.
 */
export function provideCompiled(): Promise<string> {
  compiled ??= compile()
  return compiled
}

async function compile(): Promise<string> {
  await rm(PLACE, { recursive: true, force: true })
  await runCommand('tsc', ['-p', ROOT, '--noEmit', 'false', '--noCheck', '--outDir', PLACE])
  await copyFile(join(ROOT, 'package.json'), join(PLACE, 'package.json'))
  return PLACE
}

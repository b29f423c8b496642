// npm run check: format and lint, types, direction of imports. One line for each, and what it found when it failed.
import { spawn } from 'node:child_process'
import { findAllBreaches } from './import-rules.ts'

/** Runs to the end and returns what is wrong; an empty text when nothing is. */
type Check = () => Promise<string>

const checks: Readonly<Record<string, Check>> = {
  'format and lint': () => program('biome', 'ci', '--colors=off', '.'),
  types: () => program('tsc', '-p', '.'),
  imports: async () =>
    (await findAllBreaches('.')).map(({ file, line, message }) => `${file}:${line}: ${message}`).join('\n'),
}

async function program(name: string, ...programArguments: string[]): Promise<string> {
  const child = spawn(name, programArguments, { stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const status = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  return status === 0 ? '' : printed || `${name} ended with ${status}`
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  const started = performance.now()
  const findings = await check()
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${name.padEnd(16)} ${findings === '' ? 'OK' : 'FAILED'} (${seconds} s)\n`)
  if (findings === '') continue
  process.stdout.write(`${findings.trimEnd()}\n`)
  failed += 1
}
process.exitCode = failed > 0 ? 1 : 0

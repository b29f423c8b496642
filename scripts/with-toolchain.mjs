#!/usr/bin/env node
// Runs a script of this checkout under the project's own Node, after installing packages when they are missing or
// stale.
// Plain JavaScript for any Node from 18 up: it is what a fresh clone starts with.
//   node scripts/with-toolchain.mjs scripts/demo.ts --once      node scripts/with-toolchain.mjs --run biome check .
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const binaries = join(root, 'node_modules', '.bin')
const stamp = join(root, 'node_modules', '.tabletkeeper-lock')
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
  process.stderr.write('installing packages (once) …\n')
  const install = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (install.status !== 0) {
    process.stderr.write('npm ci failed: see above. Nothing else was changed.\n')
    process.exit(1)
  }
  writeFileSync(stamp, lock)
}

const [first, ...rest] = process.argv.slice(2)
const command =
  first === '--run' ? [join(binaries, rest[0] ?? ''), ...rest.slice(1)] : [join(binaries, 'node'), first, ...rest]
const child = spawn(command[0], command.slice(1), {
  stdio: 'inherit',
  env: {
    ...process.env,
    PATH: `${binaries}:${process.env.PATH}`,
    NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
  },
})
// Ctrl-C reaches the whole foreground group: the child decides how to end, this process only passes its status on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => signal !== 'SIGINT' && child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))

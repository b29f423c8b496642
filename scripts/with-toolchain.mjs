#!/usr/bin/env node
// Runs a script of this checkout under the project's own Node, after installing packages when they are missing or
// stale.
// Plain JavaScript for any Node from 18 up: it is what a fresh clone starts with.
//   node scripts/with-toolchain.mjs scripts/demo.ts --once      node scripts/with-toolchain.mjs --run biome check .
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const binaries = join(root, 'node_modules', '.bin')
const stamp = join(root, 'node_modules', '.tabletkeeper-lock')
const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')

const isInstalled = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === lock

// `npm ci` removes what is there first: a second one at the same time would take the packages from under the first one's script.
const installing = join(root, '.installing')
const takeTurn = () => {
  // Linked when it is written: it is never there without its pid.
  const own = `${installing}-${process.pid}`
  writeFileSync(own, String(process.pid))
  try {
    while (!linked(own)) {
      if (isEnded(holder())) rmSync(installing, { force: true })
      else sleep(200)
    }
  } finally {
    rmSync(own, { force: true })
  }
}
const linked = (own) => {
  try {
    linkSync(own, installing)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  }
}
/** The pid of the one who installs; undefined when it has ended just now. */
const holder = () => {
  try {
    return Number(readFileSync(installing, 'utf8'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return undefined
  }
}
const isEnded = (pid) => {
  if (pid === undefined) return false
  // Left empty by an earlier version of this script, killed as it began.
  if (!(pid > 0)) return true
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return error.code === 'ESRCH'
  }
}
const sleep = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)

/** Up to three times: a registry that does not answer once is no reason to fail. */
const install = () => {
  for (const pause of [5_000, 20_000, undefined]) {
    const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (status === 0) return true
    // Not there, or ended by a signal, as Ctrl-C does.
    if (pause === undefined || error !== undefined || status === null) return false
    process.stderr.write(`npm ci failed, and is tried again in ${pause / 1000} s\n`)
    sleep(pause)
  }
  return false
}

if (!isInstalled()) {
  takeTurn()
  try {
    if (!isInstalled()) {
      process.stderr.write('installing packages (once) …\n')
      if (install()) writeFileSync(stamp, lock)
      else {
        process.stderr.write('npm ci failed: see above. Nothing else was changed.\n')
        process.exitCode = 1
      }
    }
  } finally {
    rmSync(installing, { force: true })
  }
  if (process.exitCode === 1) process.exit()
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

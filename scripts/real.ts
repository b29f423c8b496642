// npm run real:ceph and its like: starts one real server or file system for backups on this machine, says how to use it, and removes all
// of it on Ctrl-C.
import { once } from 'node:events'
import { isError } from '../model/errors.ts'
import { PLACES } from './real/places.ts'

const [name = ''] = process.argv.slice(2)
const start = PLACES.get(name)
if (start === undefined) {
  process.stderr.write(`which one? ${[...PLACES.keys()].map((key) => `npm run real:${key}`).join(', ')}\n`)
  process.exit(2)
}

const ended = Promise.race((['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => once(process, signal)))
const began = performance.now()
try {
  await using place = await start()
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  process.stdout.write(
    `${name} is up after ${seconds} s\n\n${usage(place)}\nCtrl-C ends it and removes what was stored.\n`,
  )
  // Signals alone keep no process alive.
  const alive = setInterval(() => {}, 2 ** 31 - 1)
  await ended
  clearInterval(alive)
  process.stdout.write('\nremoving …\n')
} catch (error) {
  if (!isError(error)) throw error
  process.stderr.write(`${error.message}\n${error.hint === undefined ? '' : `${error.hint}\n`}`)
  process.exitCode = 1
}

function usage({ exports, storage, note }: Awaited<ReturnType<NonNullable<typeof start>>>): string {
  const settings = Object.entries(storage).map(([key, value]) => `  ${key}: ${value}`)
  return [
    ...(exports === undefined ? [] : ['# in the shell of who uses it, agents too', ...lines(exports), '']),
    '# in tabletkeeper.yaml',
    'storage:',
    ...settings,
    ...(note === undefined ? [] : ['', `# ${note}`]),
    '',
  ].join('\n')
}

function lines(exports: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(exports).map(([key, value]) => `export ${key}=${value}`)
}

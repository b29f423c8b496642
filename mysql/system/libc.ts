import { createRequire } from 'node:module'
import { getSystemErrorName } from 'node:util'
import { TabletkeeperError } from '../../model/errors.ts'

type Koffi = typeof import('koffi')

/** The C library of this process, for the system calls that Node lacks. */
export interface Libc {
  readonly koffi: Koffi
  readonly library: ReturnType<Koffi['load']>
}

let loaded: Libc | undefined

/**
 * Loaded by the first call, and at once: those who call it in a worker thread do not wait for promises.
 * @throws InvalidConfig on other systems than Linux on x86_64 and arm64, whose numbers and structures callers know
 */
export function libc(): Libc {
  loaded ??= load()
  return loaded
}

/** The calls of one file, bound when one of them is made first. */
export function binding<Calls>(bind: (libc: Libc) => Calls): () => Calls {
  let bound: { readonly calls: Calls } | undefined
  return () => {
    bound ??= { calls: bind(libc()) }
    return bound.calls
  }
}

/** The `errno` of a call made in another thread; 0 when it succeeded. */
export function waited(
  koffi: Koffi,
  call: ReturnType<Libc['library']['func']>,
  args: readonly number[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    // koffi keeps each call's errno for its callback.
    call.async(...args, (error: unknown, status: unknown) => {
      if (error) reject(error)
      else resolve(status === 0 ? 0 : koffi.errno())
    })
  })
}

/** An error as Node would throw it for that call. */
export function systemError(call: string, errno: number, path?: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno)
  const message = `${code}: ${call} failed${path === undefined ? '' : `, ${path}`}`
  return Object.assign(new Error(message), { errno: -errno, code, syscall: call, ...(path !== undefined && { path }) })
}

function load(): Libc {
  if (process.platform !== 'linux' || (process.arch !== 'x64' && process.arch !== 'arm64')) {
    throw new TabletkeeperError('InvalidConfig', `the agent cannot run on ${process.platform} (${process.arch})`, {
      hint: 'Only Linux on x86_64 and arm64 is supported: the agent locks, copies and clones files by its system calls.',
    })
  }
  const koffi: Koffi = createRequire(import.meta.url)('koffi')
  return { koffi, library: koffi.load(null) }
}

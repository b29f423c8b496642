import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startInBackground } from './background-program.ts'
import { runCommand } from './command.ts'
import { freePort, isListening } from './free-port.ts'
import { provideVersitygw } from './provide-versitygw.ts'

export interface VersitygwOptions {
  /** Holds its objects and its log; made when it is not there, and kept. Default: one that goes when it is disposed of. */
  readonly directory?: string
  /** Default: a free one. */
  readonly port?: number
  /** Files, in PEM; then it speaks HTTPS. */
  readonly tls?: { readonly certificate: string; readonly key: string }
}

/** Who may ask an S3 server. */
export interface S3Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** versitygw on 127.0.0.1: Amazon S3's protocol, objects in a directory. It has no bucket yet. */
export interface Versitygw extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`; with `tls`, `https://…` */
  readonly endpoint: string
  readonly region: string
  /** Of who may do everything. */
  readonly keys: S3Keys
  readonly pid: number
  readonly directory: string
  /** Adds somebody who may do what the policy of a bucket allows, and nothing else. */
  addUser(): Promise<S3Keys>
  /** Ends it, as SIGTERM does; what was stored stays. */
  stop(): Promise<void>
}

const REGION = 'us-east-1'

/**
 * Starts versitygw and waits until it answers.
 * @throws NotFound when it cannot be had (as `provideVersitygw`) or does not start, with the end of its log
 */
export async function startVersitygw(options: VersitygwOptions = {}): Promise<Versitygw> {
  const program = await provideVersitygw()
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'tabletkeeper-s3-')))
  const [objects, users] = [join(directory, 'objects'), join(directory, 'users')]
  for (const path of [objects, users]) await mkdir(path, { recursive: true, mode: 0o700 })
  const port = options.port ?? (await freePort())
  const { tls } = options
  const endpoint = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`
  const keys = newKeys()
  const server = await startInBackground({
    program,
    arguments: [
      ...['--port', `127.0.0.1:${port}`, '--region', REGION, '--iam-dir', users, '--iam-cache-disable'],
      ...(tls === undefined ? [] : ['--cert', tls.certificate, '--key', tls.key]),
      ...['--keep-alive', '--quiet', 'posix', objects],
    ],
    environment: { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey },
    log: join(directory, 'versitygw.log'),
    // Whether its certificate is known here is not the question.
    isReady: async () => isListening(port),
  })
  return {
    endpoint,
    region: REGION,
    keys,
    pid: server.pid,
    directory,
    addUser: () => addUser(program, endpoint, keys),
    stop: () => server.stop(),
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      if (options.directory === undefined) await rm(directory, { recursive: true, force: true })
    },
  }
}

async function addUser(program: string, endpoint: string, root: S3Keys): Promise<S3Keys> {
  const keys = newKeys()
  await runCommand(program, [
    ...['admin', '--access', root.accessKeyId, '--secret', root.secretAccessKey, '--endpoint-url', endpoint],
    ...['create-user', '--access', keys.accessKeyId, '--secret', keys.secretAccessKey, '--role', 'user'],
  ])
  return keys
}

function newKeys(): S3Keys {
  return { accessKeyId: randomBytes(8).toString('hex'), secretAccessKey: randomBytes(20).toString('hex') }
}

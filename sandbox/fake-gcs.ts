import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startInBackground } from './background-program.ts'
import { freePort } from './free-port.ts'
import { GcsSessions } from './gcs-sessions.ts'
import { provideFakeGcs } from './provide-fake-gcs.ts'

export interface FakeGcsOptions {
  /** Default: a free one. */
  readonly port?: number
}

/** fake-gcs-server on 127.0.0.1, objects in a directory, with resumable uploads as Google has them. It has no bucket yet. */
export interface FakeGcs extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, as STORAGE_EMULATOR_HOST wants it. */
  readonly endpoint: string
  makeBucket(name: string): Promise<void>
}

/**
 * Starts fake-gcs-server and waits until it answers. What was stored goes with it.
 * @throws NotFound when it cannot be had (as `provideFakeGcs`) or does not start, with the end of its log
 */
export async function startFakeGcs(options: FakeGcsOptions = {}): Promise<FakeGcs> {
  const program = await provideFakeGcs()
  const directory = await mkdtemp(join(tmpdir(), 'tabletkeeper-gcs-'))
  await mkdir(join(directory, 'objects'))
  const [port, innerPort] = [options.port ?? (await freePort()), await freePort()]
  const [endpoint, upstream] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${innerPort}`]
  const server = await startInBackground({
    program,
    arguments: [
      ...['-backend', 'filesystem', '-filesystem-root', join(directory, 'objects'), '-scheme', 'http'],
      ...['-host', '127.0.0.1', '-port', String(innerPort), '-public-host', `127.0.0.1:${port}`],
      ...['-external-url', endpoint, '-log-level', 'warn'],
    ],
    log: join(directory, 'fake-gcs-server.log'),
    isReady: async () => (await fetch(`${upstream}/_internal/healthcheck`)).ok,
  })
  const sessions = new GcsSessions(join(directory, 'sessions'), upstream)
  const front = createServer((request, response) => {
    sessions
      .answer(request, response)
      .then((answered) => answered || passOn(upstream, request, response))
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
  })
  await listen(front, port)
  return {
    endpoint,
    makeBucket: async (name) => {
      const answer = await fetch(`${endpoint}/storage/v1/b?project=none`, {
        method: 'POST',
        body: JSON.stringify({ name }),
      })
      if (!answer.ok) throw new Error(`fake-gcs-server made no bucket ${name}: ${answer.status}`)
    },
    [Symbol.asyncDispose]: async () => {
      front.closeAllConnections()
      front.close()
      await sessions.dispose()
      await server.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function listen(server: Server, port: number): Promise<void> {
  // Restores and uploads keep their connections.
  server.keepAliveTimeout = 60_000
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

function passOn(upstream: string, request: IncomingMessage, response: ServerResponse): void {
  const inner = httpRequest(`${upstream}${request.url}`, { method: request.method ?? 'GET', headers: request.headers })
  inner.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.rawHeaders)
    answer.pipe(response)
    answer.on('aborted', () => response.destroy())
    response.on('close', () => answer.destroy())
  })
  inner.on('error', () => response.destroy())
  request.on('error', () => inner.destroy())
  request.pipe(inner)
}

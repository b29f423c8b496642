import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { S3Keys } from '../../sandbox/versitygw.ts'
import { listenOnLoopback } from '../storage/loopback.ts'

/** Milliseconds that credentials last. Who has less than half of them left is given new ones. */
const LIFETIME = 4_000
/** For how long the store takes them after that: a request that was signed in time may come late. */
const LENIENCE = 2_000

/** What the store says of others, as Amazon S3 does. */
const EXPIRED = '<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>'

interface Issued {
  readonly keys: S3Keys
  /** Milliseconds since 1970. */
  readonly expiration: number
}

/** Credentials that last for seconds, and the way to a store that takes no others. */
export interface ExpiringCredentials {
  /** Address that gives credentials, both as a container's endpoint does and as a `credential_process` prints them. */
  readonly source: string
  /** Address of the store. */
  readonly endpoint: string
  /** What was given, in order. */
  readonly issued: readonly S3Keys[]
  /** How often the source was asked. */
  readonly asked: number
  /** Access keys of requests that the store has taken. */
  readonly taken: ReadonlySet<string>
  /** Requests that the store has refused. */
  readonly refused: number
  /** `stale`: the source gives the last ones again and again, as if they were good. `silent`: it gives nothing. */
  state: 'renewing' | 'stale' | 'silent'
  /** Whether the store still takes these. */
  isGood(keys: S3Keys): boolean
}

/** Until the running test ends. `addUser` makes one whom the store at `upstream` knows; each is given once. */
export async function startExpiringCredentials(
  upstream: string,
  addUser: () => Promise<S3Keys>,
): Promise<ExpiringCredentials> {
  const given: Issued[] = []
  const taken = new Set<string>()
  let asked = 0
  let refused = 0

  const renew = async (): Promise<Issued> => {
    const last = given.at(-1)
    if (last !== undefined && last.expiration - Date.now() > LIFETIME / 2) return last
    const issued = { keys: await addUser(), expiration: Date.now() + LIFETIME }
    given.push(issued)
    return issued
  }
  let renewed: Promise<Issued> | undefined
  /** One at a time: who asks while one is made gets the same. */
  const current = (): Promise<Issued> => {
    renewed ??= renew().finally(() => {
      renewed = undefined
    })
    return renewed
  }
  const answer = async (): Promise<Issued | undefined> => {
    const last = given.at(-1)
    if (credentials.state === 'silent') return undefined
    if (credentials.state === 'stale') return last && { ...last, expiration: Date.now() + LIFETIME }
    return await current()
  }
  const source = createServer((_request, response) => {
    asked += 1
    answer().then(
      (issued) => {
        if (issued === undefined) response.writeHead(500).end()
        else response.writeHead(200, { 'content-type': 'application/json' }).end(documentOf(issued))
      },
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  const isGood = (accessKeyId: string) => {
    const found = given.find(({ keys }) => keys.accessKeyId === accessKeyId)
    return found !== undefined && Date.now() <= found.expiration + LENIENCE
  }
  const store = createServer((request, response) => {
    const [, accessKeyId = ''] = /Credential=([^/]+)\//.exec(request.headers.authorization ?? '') ?? []
    if (isGood(accessKeyId)) {
      taken.add(accessKeyId)
      passOn(upstream, request, response)
      return
    }
    refused += 1
    request.resume()
    request.on('end', () => response.writeHead(400, { 'content-type': 'application/xml' }).end(EXPIRED))
  })
  const credentials: ExpiringCredentials = {
    source: `http://${await listenOnLoopback(source)}/credentials`,
    endpoint: `http://${await listenOnLoopback(store)}`,
    get issued() {
      return given.map(({ keys }) => keys)
    },
    get asked() {
      return asked
    },
    taken,
    get refused() {
      return refused
    },
    state: 'renewing',
    isGood: ({ accessKeyId }) => isGood(accessKeyId),
  }
  return credentials
}

/** Without a token of a session, which versitygw knows not; an endpoint of containers has to say one. */
function documentOf({ keys: { accessKeyId, secretAccessKey }, expiration }: Issued): string {
  return JSON.stringify({
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: '',
    Expiration: new Date(expiration).toISOString(),
  })
}

/** As it came, its signature and the host that was signed included. */
function passOn(upstream: string, request: IncomingMessage, response: ServerResponse): void {
  const { hostname, port } = new URL(upstream)
  const { method = 'GET', url: path = '/', headers } = request
  const inner = httpRequest({ hostname, port, method, path, headers, agent: false })
  inner.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.rawHeaders)
    answer.pipe(response)
  })
  inner.on('error', () => response.destroy())
  request.on('error', () => inner.destroy())
  request.pipe(inner)
}

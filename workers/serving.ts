import { createServer, type Server } from 'node:http'
import type { Config } from '../model/config.ts'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import type { Held } from '../tablets/leased-tablet.ts'
import { judgeServing, type Serving } from '../tablets/serving.ts'
import type { AttendedTablet } from './attended-tablet.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { withinLimit } from './within-limit.ts'

/** How long reading the lease may take, in milliseconds: less than load balancers wait for an answer. */
const READ_LIMIT = 2_000

type Told = Omit<Serving, 'hint'>

const PATH = /^\/tablets\/([^/]+)\/serving$/

/**
 * The endpoint that HAProxy, ProxySQL or a readiness probe routes by: `GET /tablets/<alias>/serving` answers 200 when queries may be
 * sent to the tablet, else 503, and either way says why as JSON.
 * @throws InvalidConfig when the address cannot be listened on
 */
export async function serveHealth(config: Config, tablets: readonly AttendedTablet[]): Promise<Server> {
  const byAlias = new Map<string, () => Promise<Told>>(
    tablets.map((tablet) => {
      const held = oneAtATime(async () => await tablet.open?.tablet.held())
      return [tablet.alias, () => judge(tablet, held, config)]
    }),
  )
  const server = createServer((request, response) => {
    const answer = (status: number, body: object): void => {
      response
        .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
        .end(`${JSON.stringify(body)}\n`)
    }
    const [, alias] = PATH.exec(request.url ?? '') ?? []
    const serving = alias === undefined ? undefined : byAlias.get(alias)
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(405, { reason: 'only GET' })
    else if (serving === undefined) answer(404, { reason: 'no such tablet here', tablets: [...byAlias.keys()] })
    else {
      serving().then(
        (told) => answer(told.serving ? 200 : 503, told),
        (error: unknown) => answer(503, { serving: false, reason: messageOf(error) }),
      )
    }
  })
  const { host, port } = config.agent.listen
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new TabletkeeperError('InvalidConfig', `agent.listen ${host}:${port} cannot be listened on: ${cause.message}`, {
          cause,
          hint: 'Another agent on this host? Give each its own agent.listen.',
        }),
      )
    })
    server.listen(port, host, resolve)
  })
  return server
}

async function judge(
  { alias, open, problem }: AttendedTablet,
  held: () => Promise<Held | undefined>,
  config: Config,
): Promise<Told> {
  if (open === undefined) throw new Error(`${alias} is not looked after: ${messageOf(problem)}`)
  const { tablet, lag, emptyBecause } = open
  // A load balancer has to hear of a disk that hangs.
  const lease = await withinLimit(held(), READ_LIMIT, 'the data directory does not answer')
  // What to do is for people: `check` says it.
  const { hint: _forPeople, ...told } = judgeServing(
    tablet.driver,
    lease,
    lag.latest,
    config.backup.maxLag,
    emptyBecause,
  )
  return told
}

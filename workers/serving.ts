import { createServer, type Server } from 'node:http'
import type { Config } from '../model/config.ts'
import { messageOf, TabletkeeperError } from '../model/errors.ts'
import { judgeServing, type Serving } from '../tablets/serving.ts'
import type { OpenTablet } from './open-tablet.ts'

const PATH = /^\/tablets\/([^/]+)\/serving$/

/**
 * The endpoint that HAProxy, ProxySQL or a readiness probe routes by: `GET /tablets/<alias>/serving` answers 200 when queries may be
 * sent to the tablet, else 503, and either way says why as JSON.
 * @throws InvalidConfig when the address cannot be listened on
 */
export async function serveHealth(config: Config, tablets: readonly OpenTablet[]): Promise<Server> {
  const byAlias = new Map<string, OpenTablet>(tablets.map((open) => [open.tablet.driver.alias, open]))
  const server = createServer((request, response) => {
    const answer = (status: number, body: object): void => {
      response
        .writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
        .end(`${JSON.stringify(body)}\n`)
    }
    const [, alias] = PATH.exec(request.url ?? '') ?? []
    const open = alias === undefined ? undefined : byAlias.get(alias)
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(405, { reason: 'only GET' })
    else if (open === undefined) answer(404, { reason: 'no such tablet here', tablets: [...byAlias.keys()] })
    else {
      judge(open, config).then(
        (serving) => answer(serving.serving ? 200 : 503, serving),
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

async function judge(open: OpenTablet, config: Config): Promise<Omit<Serving, 'hint'>> {
  const { tablet, lag, emptyBecause } = open
  const judged = judgeServing(tablet.driver, await tablet.held(), lag.latest, config.backup.maxLag, emptyBecause)
  // What to do is for people: `check` says it.
  const { hint: _forPeople, ...told } = judged
  return told
}

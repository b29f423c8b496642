import type { Client } from '@temporalio/client'
import type { Logger } from 'pino'
import { messageOf } from '../model/errors.ts'
import { SEARCH_ATTRIBUTES } from '../model/runs.ts'

/** `INDEXED_VALUE_TYPE_KEYWORD` of Temporal's API. */
const KEYWORD = 2

/** Makes runs findable by tablet, shard, kind and backup where this namespace lets us; without them everything else works all the same. */
export async function registerSearchAttributes(client: Client, namespace: string, log: Logger): Promise<void> {
  try {
    const { operatorService } = client.connection
    if (operatorService === undefined) return
    const known = (await operatorService.listSearchAttributes({ namespace })).customAttributes ?? {}
    const missing = SEARCH_ATTRIBUTES.filter((name) => known[name] === undefined)
    const wrong = SEARCH_ATTRIBUTES.filter((name) => known[name] !== undefined && known[name] !== KEYWORD)
    if (wrong.length > 0)
      log.warn({ event: 'search attributes', wrong }, `${wrong.join(', ')} exist with another type than Keyword`)
    if (missing.length === 0) return
    await operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    })
  } catch (error) {
    log.warn({ event: 'search attributes', err: error }, `search attributes are not registered: ${messageOf(error)}`)
  }
}

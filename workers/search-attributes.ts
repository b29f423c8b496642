import type { Client } from '@temporalio/client'
import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common'
import { type RunSubject, SEARCH_ATTRIBUTES, type WorkflowKind } from '../model/runs.ts'

export type SearchAttributeName = (typeof SEARCH_ATTRIBUTES)[number]

/** temporal.api.enums.v1.IndexedValueType */
const KEYWORD = 2

/**
 * Those of our search attributes that the namespace has. A start that sets any other is refused by the server, so a server that
 * does not tell (permissions, Temporal Cloud) counts as having none.
 */
export async function registeredAttributes(client: Client): Promise<ReadonlySet<SearchAttributeName>> {
  try {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({
      namespace: client.options.namespace,
    })
    return new Set(SEARCH_ATTRIBUTES.filter((name) => customAttributes[name] === KEYWORD))
  } catch {
    return new Set()
  }
}

/** The attributes of a run, without those that are not registered. */
export function attributesOf(
  kind: WorkflowKind,
  subject: Partial<RunSubject>,
  backup: string | undefined,
  registered: ReadonlySet<SearchAttributeName>,
): SearchAttributePair[] {
  const values: Readonly<Record<SearchAttributeName, string | undefined>> = {
    TabletkeeperKind: kind,
    TabletkeeperShard: subject.shard,
    TabletkeeperTablet: subject.tablet,
    TabletkeeperBackup: backup,
  }
  return SEARCH_ATTRIBUTES.flatMap((name) => {
    const value = values[name]
    if (value === undefined || !registered.has(name)) return []
    return [{ key: defineSearchAttributeKey(name, SearchAttributeType.KEYWORD), value }]
  })
}

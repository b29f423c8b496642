/** The version of every JSON document that the command line prints; it changes when a field's meaning does, not when one is added. */
export const JSON_SCHEMA = 1

/** One document as `--json` prints it: bytes as integers, times in RFC 3339 UTC. */
export function jsonDocument(body: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ schema: JSON_SCHEMA, ...body }, plain, 2)
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value)
  return typeof value === 'bigint' ? value.toString() : value
}

import { z } from 'zod'
import type { GcsConnection } from './connection.ts'
import { answerError } from './errors.ts'
import { FIELDS, type GcsObject, objectSchema, parseAnswer } from './object.ts'

/** What the API gives at once at most. */
const PAGE = '1000'

const pageSchema = z.object({
  items: z.array(objectSchema).nullish(),
  prefixes: z.array(z.string()).nullish(),
  nextPageToken: z.string().optional(),
})

export interface GcsListing {
  /** By key, sorted. */
  readonly objects: ReadonlyMap<string, GcsObject>
  readonly prefixes: readonly string[]
}

/**
 * What is below a prefix: all of it, or one level. Names that no key can have are left out, and our own too unless they are asked for.
 * @throws InvalidConfig when there is no such bucket
 */
export async function listObjects(
  gcs: GcsConnection,
  prefix: string,
  { delimiter, hidden = false }: { readonly delimiter?: '/'; readonly hidden?: boolean } = {},
): Promise<GcsListing> {
  const doing = { doing: prefix === '' ? 'list objects' : `list ${prefix}`, permission: 'storage.objects.list' }
  const objects: (readonly [string, GcsObject])[] = []
  const prefixes = new Set<string>()
  const isShown = (key: string) => key.split('/').every((part) => part !== '' && (hidden || !part.startsWith('.')))
  for (let pageToken: string | undefined; ; ) {
    const query = new URLSearchParams({
      prefix: gcs.nameOf(prefix),
      maxResults: PAGE,
      fields: `items(${FIELDS}),prefixes,nextPageToken`,
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(pageToken === undefined ? {} : { pageToken }),
    })
    const path = `/storage/v1/b/${encodeURIComponent(gcs.bucket)}/o?${query}`
    const answer = await gcs.ask(doing, { method: 'GET', path })
    if (answer.status !== 200) throw answerError(gcs.description, doing, answer)
    const page = parseAnswer(gcs, doing.doing, answer.text, pageSchema)
    for (const object of page.items ?? []) {
      const key = gcs.keyOf(object.name)
      if (isShown(key)) objects.push([key, object])
    }
    for (const name of page.prefixes ?? []) {
      if (isShown(gcs.keyOf(name).slice(0, -1))) prefixes.add(gcs.keyOf(name))
    }
    pageToken = page.nextPageToken
    if (pageToken === undefined) break
  }
  const sorted = objects.sort(([one], [other]) => (one < other ? -1 : 1))
  return { objects: new Map(sorted), prefixes: [...prefixes].sort() }
}

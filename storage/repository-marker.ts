import { z } from 'zod'
import { TabletkeeperError } from '../model/errors.ts'

/** The object at a root that says which repository it is. */
export const MARKER = '.tabletkeeper-repository'

const markerSchema = z.object({ id: z.uuid() })

/** What the marker of the repository `id` holds. */
export function markerText(id: string): string {
  return `${JSON.stringify({ id })}\n`
}

/**
 * The id that a marker holds.
 * @param place where it stands, for the message
 * @throws InvalidConfig
 */
export function parseMarker(text: string, place: string): string {
  try {
    return markerSchema.parse(JSON.parse(text)).id
  } catch (cause) {
    throw new TabletkeeperError('InvalidConfig', `${place} does not identify a repository`, {
      cause,
      hint: 'Restore it from another copy of the repository; without it nobody can tell whether this is the right one.',
    })
  }
}

import { z } from 'zod'

/** Something about a server that makes a cold copy of it wrong or a restart of it harmful. */
export interface Hazard {
  readonly what:
    | 'data files elsewhere'
    | 'encryption'
    | 'redo log disabled'
    | 'MEMORY tables'
    | 'group replication'
    | 'several channels'
    | 'named channel'
    | 'semi-sync'
    | 'no stored credentials'
    | 'delayed replication'
    | 'replication without GTIDs'
    | 'tagged GTIDs'
    | 'replication filters'
    | 'settings lost by a restart'
  readonly message: string
  readonly hint: string
}

/** A row that names one thing. */
export const nameSchema = z.object({ name: z.string() })

/** The first five of `names`, for a sentence. */
export function several(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ')
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown
}

import type { Case } from './cases.ts'

/** What came of one case. */
export type Result = {
  readonly case: Case
  /** What was under way when the fault struck. */
  readonly hit: string
  /** How long all of it took, with its checks and the backup after it. */
  readonly seconds: number
} & (Survived | Failed)

export interface Survived {
  readonly survived: true
  /** How the run ended, for people. */
  readonly run: string
  readonly recovery: Recovery
}

/** From the fault's end to the tablet back in service. */
export interface Recovery {
  readonly seconds: number
  /** What mysqld itself needed for its starts meanwhile. */
  readonly mysqldSeconds: number
}

export interface Failed {
  readonly survived: false
  readonly because: string
}

/** The one taxonomy of failures. The type is what Temporal's UI shows, what retry policies name and what exit codes follow from. */
export const ERROR_TYPES = [
  'InvalidConfig',
  'InvalidInput',
  'NotFound',
  'TabletBusy',
  'Refused',
  'NoAgent',
  'StorageUnavailable',
  'StorageDenied',
  'StorageFull',
  'CorruptBackup',
  'FenceBroken',
  'MysqldFailed',
  'ReplicationFailed',
  'IncompatibleVersion',
] as const

export type ErrorType = (typeof ERROR_TYPES)[number]

export interface ErrorOptions {
  /** What to type or to look at next, one sentence. */
  readonly hint?: string
  /** Defaults per type: only what may go away by itself is tried again. */
  readonly retryable?: boolean
  readonly cause?: unknown
}

const RETRYABLE: ReadonlySet<ErrorType> = new Set([
  'NoAgent',
  'StorageUnavailable',
  'MysqldFailed',
  'ReplicationFailed',
])

/** By it an error is known though it comes from another copy of this file: a user's own store may bring one. */
const MARK = Symbol.for('tabletkeeper.error')

/** A failure that was foreseen: its message says what happened and to what, its hint what to do next. */
export class TabletkeeperError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && MARK in value
  }

  readonly type: ErrorType
  readonly hint: string | undefined
  readonly retryable: boolean

  constructor(type: ErrorType, message: string, options: ErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : {})
    this.name = type
    this.type = type
    this.hint = options.hint
    this.retryable = options.retryable ?? RETRYABLE.has(type)
  }

  get [MARK](): true {
    return true
  }
}

/** Whether `error` is a foreseen failure of one of `types` (of any type when none is given). */
export function isError(error: unknown, ...types: ErrorType[]): error is TabletkeeperError {
  return error instanceof TabletkeeperError && (types.length === 0 || types.includes(error.type))
}

/** Exit status of the command line for each type of failure; 1 is any other failure. */
export const EXIT_CODES: Readonly<Record<ErrorType, number>> = {
  InvalidInput: 2,
  InvalidConfig: 3,
  NotFound: 10,
  TabletBusy: 11,
  Refused: 20,
  IncompatibleVersion: 20,
  CorruptBackup: 30,
  NoAgent: 75,
  StorageUnavailable: 75,
  StorageDenied: 1,
  StorageFull: 1,
  FenceBroken: 1,
  MysqldFailed: 1,
  ReplicationFailed: 1,
}

/** The message of anything thrown, for logs and for sentences that quote a cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

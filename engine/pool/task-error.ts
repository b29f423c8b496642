import { TabletkeeperError } from '../../model/errors.ts'
import { type FileOperation, storageError } from '../../storage/file/errors.ts'
import { localFileError } from '../local-file-error.ts'
import type { TaskError } from './tasks.ts'

/** Thrown within a worker thread: what crosses to the pool. */
export class TaskFailure extends Error {
  readonly error: TaskError

  constructor(error: TaskError) {
    super(error.kind)
    this.error = error
  }
}

/** Runs a call to the file system; its failure says whose file it was. */
export function failingAs<T>(kind: 'local' | 'storage', doing: 'read' | 'write', path: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (error instanceof TaskFailure || !(error instanceof Error)) throw error
    const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
    throw new TaskFailure({ kind, doing, path, code, message: error.message })
  }
}

/** What a worker thread answers for anything that was thrown. */
export function taskErrorOf(error: unknown): TaskError {
  if (error instanceof TaskFailure) return error.error
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error))
  return { kind: 'defect', message, stack }
}

/** The error of the taxonomy that a worker's answer stands for. @param storage the store's own name of itself */
export function errorOf(error: TaskError, storage: string): Error {
  switch (error.kind) {
    case 'changed':
      return fileChanged(error.path)
    case 'corrupt':
      return new TabletkeeperError('CorruptBackup', `${error.key} ${error.what}`)
    case 'defect': {
      const defect = new Error(`a worker thread failed: ${error.message}`)
      defect.stack = error.stack
      return defect
    }
    case 'local':
      return localFileError(systemError(error), error.doing, error.path)
    case 'storage': {
      const operation: FileOperation = { store: storage, doing: `${error.doing} ${error.path}` }
      return storageError(systemError(error), operation)
    }
  }
}

/** A file of the stopped server is not what it was when it was selected. */
export function fileChanged(path: string, cause?: unknown): TabletkeeperError {
  return new TabletkeeperError('FenceBroken', `${path} was changed while it was copied`, {
    cause,
    hint: 'Something else works on the data directory: a mysqld that was started meanwhile, or a person. The backup was not completed.',
  })
}

function systemError({ message, code }: { readonly message: string; readonly code: string | undefined }): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

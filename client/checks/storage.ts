import type { Config } from '../../model/config.ts'
import type { Capabilities } from '../../storage/capabilities.ts'
import type { ObjectStore, Repository } from '../../storage/object-store.ts'
import type { StorageReport, Tabletkeeper } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'

type Kind = Config['storage']['kind']

/** What is to be said of the storage, and what control sees there, where it tells. */
export interface AskedStorage {
  readonly check: Check
  readonly repository: Repository | undefined
}

/** Whether control can use the storage, what that can do, and what control may do there. */
export async function checkStorage(keeper: Tabletkeeper, kind: Kind): Promise<AskedStorage> {
  try {
    const report = await keeper.checkStorage()
    return { check: judgeStorage(report, kind), repository: report.repository }
  } catch (error) {
    return { check: failedCheck('storage', error), repository: undefined }
  }
}

/** What keeps this host from telling which backups there are, though control can use the storage; undefined when nothing does. */
export async function checkView(store: ObjectStore, ofControl: Repository | undefined): Promise<Check | undefined> {
  try {
    return judgeView(store.description, await store.repository(), ofControl)
  } catch (error) {
    const failed = failedCheck('storage', error)
    return { ...failed, message: `seen from this host: ${failed.message}` }
  }
}

/** Whether this host sees the repository that control sees. One that is new to both holds no backups; an older control does not tell. */
export function judgeView(description: string, here: Repository, ofControl: Repository | undefined): Check | undefined {
  if (ofControl === undefined || ofControl.state === 'new') return undefined
  const isOther = here.state === 'ready' && here.id !== null && ofControl.id !== null && here.id !== ofControl.id
  if (here.state === 'ready' && !isOther) return undefined
  return {
    verdict: 'FAILED',
    subject: 'storage',
    message: `this host does not see the repository that control sees: ${description} is ${isOther ? 'another one' : 'empty'} here`,
    hint: 'Which backups there are cannot be told from here. Mount it on this host, or run check where it is mounted.',
  }
}

/** What is to be said of a storage that was proven to work. */
export function judgeStorage({ description, capabilities }: StorageReport, kind: Kind): Check {
  const subject = 'storage'
  if (capabilities === undefined) {
    return { verdict: 'OK', subject, message: `${description}: written, read and listed by control` }
  }
  const lacks = shortcomings(capabilities)
  const notes = lacks.length > 0 ? lacks : remarks(capabilities, kind)
  return {
    verdict: lacks.length > 0 ? 'WARN' : 'OK',
    subject,
    message: `${description}: ${abilities(capabilities).join(', ')}`,
    hint: notes.length > 0 ? notes.join(' ') : undefined,
    capabilities,
  }
}

const CONDITIONAL_CREATE = {
  enforced: 'conditional create',
  'looked up': 'no conditional create',
  ignored: 'conditional create ignored',
} as const

function abilities({ conditionalCreate, rangedReads, listing, removal, unfinishedUploads }: Capabilities): string[] {
  return [
    CONDITIONAL_CREATE[conditionalCreate],
    rangedReads ? 'ranged reads' : 'no ranged reads',
    ...(listing ? [] : ['no listing']),
    `removal ${removal}`,
    // Only where something is missing: who may abort an upload has to find it first.
    ...(unfinishedUploads === null || unfinishedUploads.listing === 'allowed'
      ? []
      : [`listing of unfinished uploads ${unfinishedUploads.listing}`]),
    ...(unfinishedUploads === null || unfinishedUploads.removal === 'allowed'
      ? []
      : [`removal of unfinished uploads ${unfinishedUploads.removal}`]),
  ]
}

/** What makes backups less safe, or leaves things behind. */
function shortcomings({ conditionalCreate, unfinishedUploads }: Capabilities): string[] {
  const lacks: string[] = []
  if (conditionalCreate === 'ignored') {
    lacks.push(
      'It replaces what it is told not to replace: two runs that make the same backup could both write its MANIFEST. Take a store that refuses.',
    )
  }
  if (conditionalCreate === 'looked up') {
    lacks.push(
      'It is only looked before a write whether the object is there (storage.conditionalWrites: false): of two runs that make the same backup at the same moment both could write its MANIFEST.',
      'Try true: check then says whether the store honours it.',
    )
  }
  if (unfinishedUploads?.listing === 'denied' || unfinishedUploads?.removal === 'denied') {
    lacks.push(
      'Uploads that were given up stay, and are paid for: give control s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, as the policy in docs/operations.md does.',
    )
  }
  return lacks
}

/** What is no fault, and good to know. On a file system who may create may remove. */
function remarks({ removal }: Capabilities, kind: Kind): string[] {
  if (kind === 'file') return []
  if (removal === 'allowed') {
    return ['Control may remove, and has to; agents need only create and read: docs/operations.md has a policy.']
  }
  if (removal === 'denied') {
    return [
      'What backups that failed have left stays until somebody removes it who may: docs/operations.md has a policy.',
    ]
  }
  return []
}

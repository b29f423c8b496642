import type { Config } from '../../model/config.ts'
import type { Capabilities } from '../../storage/capabilities.ts'
import type { StorageReport, Tabletkeeper } from '../tabletkeeper.ts'
import { type Check, failedCheck } from './check.ts'

type Kind = Config['storage']['kind']

/** Whether control can use the storage, what that can do, and what control may do there. */
export async function checkStorage(keeper: Tabletkeeper, kind: Kind): Promise<Check> {
  try {
    return judgeStorage(await keeper.checkStorage(), kind)
  } catch (error) {
    return failedCheck('storage', error)
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

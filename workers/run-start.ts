import type { SearchAttributePair } from '@temporalio/common'
import {
  type BackupInput,
  type BootstrapInput,
  CONTROL_QUEUE,
  type RestoreInput,
  type RunInput,
  type RunKind,
  type RunSubject,
  SUBJECT_MEMO,
} from '../model/runs.ts'
import type { ShardName } from '../model/shard-name.ts'
import type { VerifyInput } from '../model/verification.ts'
import { attributesOf, type SearchAttributeName } from './search-attributes.ts'

/** The input of each kind of run over a tablet. */
export interface RunInputs {
  readonly backup: BackupInput
  readonly restore: RestoreInput
  readonly bootstrap: BootstrapInput
}

/** What a run is started with, besides its id: the same for a start by hand and by a schedule. */
export interface RunStart {
  readonly taskQueue: string
  readonly memo: Readonly<Record<string, RunSubject | { readonly shard: ShardName }>>
  readonly staticSummary: string
  readonly staticDetails: string
  readonly typedSearchAttributes: SearchAttributePair[]
}

/** `backup/commerce/0/zone1-0000000101`: where the ids of a tablet's runs begin. Ids are never parsed. */
export function runIdPrefix(kind: RunKind, { shard, tablet }: RunSubject): string {
  return `${kind}/${shard}/${tablet}`
}

/** The id of a run that starts at `now`: with its time, but for a bootstrap, of which a tablet has one at a time. */
export function runIdOf(kind: RunKind, subject: RunSubject, now: Date): string {
  const prefix = runIdPrefix(kind, subject)
  return kind === 'bootstrap' ? prefix : `${prefix}/${secondOf(now)}`
}

/** The id of a verification that starts at `now`. */
export function verificationIdOf({ shard }: VerifyInput, now: Date): string {
  return `verifyBackup/${shard}/${secondOf(now)}`
}

function secondOf(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

/** How a run presents itself in Temporal's UI and lists. */
export function describeStart<Kind extends RunKind>(
  kind: Kind,
  input: RunInputs[Kind],
  registered: ReadonlySet<SearchAttributeName>,
): RunStart {
  const subject: RunSubject = { shard: input.shard, tablet: input.tablet }
  const backup = 'backup' in input ? input.backup : undefined
  return {
    taskQueue: CONTROL_QUEUE,
    memo: { [SUBJECT_MEMO]: subject },
    staticSummary: `${kind} **${input.tablet}** of ${input.shard}`,
    staticDetails: detailsOf(kind, input),
    typedSearchAttributes: attributesOf(kind, subject, backup, registered),
  }
}

const PURPOSE: Readonly<Record<RunKind, string>> = {
  backup: 'Takes the tablet out of service, copies its data to backup storage, and puts it back.',
  restore: "Replaces the tablet's data by those of a backup, then replicates what came later.",
  bootstrap:
    "Fills a new tablet from its shard's latest backup, or starts it empty when there is none, then replicates.",
}

function detailsOf(kind: RunKind, input: RunInput): string {
  const { shard, tablet, ...rest } = input
  return [
    PURPOSE[kind],
    '',
    `- tablet: **${tablet}**`,
    `- shard: **${shard}**`,
    ...settingsOf(rest),
    '',
    'To stop it, *cancel* it: the tablet is put back into service first.',
  ].join('\n')
}

/** The same for a verification, which is about a backup and no tablet. */
export function describeVerification(input: VerifyInput, registered: ReadonlySet<SearchAttributeName>): RunStart {
  const { shard, backup, ...rest } = input
  return {
    taskQueue: CONTROL_QUEUE,
    memo: { [SUBJECT_MEMO]: { shard } },
    staticSummary: `verifyBackup **${backup ?? 'latest'}** of ${shard}`,
    staticDetails: [
      'Reads a backup from storage in full and checks all of it. Changes nothing.',
      '',
      `- backup: **${backup ?? 'the latest'}**`,
      `- shard: **${shard}**`,
      ...settingsOf(rest),
    ].join('\n'),
    typedSearchAttributes: attributesOf('verifyBackup', { shard }, backup, registered),
  }
}

function settingsOf(settings: object): string[] {
  return Object.entries(settings).flatMap(([key, value]) => (value === undefined ? [] : [`- ${key}: ${String(value)}`]))
}

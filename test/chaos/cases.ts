import type { StepName } from '../../model/runs.ts'

/** What runs when a fault strikes; `backup-reflink` is a backup whose files are copied from a clone. */
export const WORKFLOWS = ['backup', 'backup-reflink', 'restore', 'bootstrap'] as const
export type Workflow = (typeof WORKFLOWS)[number]

/** The steps of each workflow, in their order. */
export const STEPS = {
  backup: [
    ...(['preflight', 'takeTablet', 'takeOutOfService', 'stopReplication', 'stopMysqld', 'copyFiles'] as const),
    ...(['startMysqld', 'rejoin', 'releaseTablet', 'checkBackup', 'publishBackup'] as const),
  ],
  'backup-reflink': [
    ...(['preflight', 'takeTablet', 'takeOutOfService', 'stopReplication', 'stopMysqld', 'cloneFiles'] as const),
    ...([
      'startMysqld',
      'rejoin',
      'releaseTablet',
      'uploadFiles',
      'checkBackup',
      'publishBackup',
      'dropClone',
    ] as const),
  ],
  restore: [
    ...(['findBackup', 'preflight', 'takeTablet', 'takeOutOfService', 'stopMysqld', 'downloadFiles'] as const),
    ...(['swapData', 'startMysqld', 'confirmRestore', 'rejoin', 'dropReplaced', 'releaseTablet'] as const),
  ],
  bootstrap: [
    ...(['findBackup', 'preflight', 'takeTablet', 'takeOutOfService', 'stopMysqld', 'downloadFiles'] as const),
    ...(['swapData', 'startMysqld', 'confirmRestore', 'rejoin', 'dropReplaced', 'releaseTablet'] as const),
  ],
} as const satisfies Record<Workflow, readonly StepName[]>

export const FAULTS = [
  'kill agent',
  'kill control',
  'kill mysqld',
  'kill Temporal',
  'kill all',
  'freeze agent',
  'freeze control',
  'freeze mysqld',
  'freeze Temporal',
  'Temporal away',
  'cancel',
  'terminate',
  'reset',
  'mysqld refuses',
  'store fails',
  'store stalls',
  'store full',
  'disk full',
] as const
export type Fault = (typeof FAULTS)[number]

/** One fault in one step of one workflow. */
export interface Case {
  /** `backup/copyFiles/kill agent`, by which one is run again. */
  readonly id: string
  readonly workflow: Workflow
  readonly step: StepName
  readonly fault: Fault
}

/** What a machine must be able to do for a case. */
export type Need = 'mounts' | 'clones'

/** Where there is no mysqld that could be killed, for a while at least. */
const WITHOUT_MYSQLD: ReadonlySet<StepName> = new Set([
  'copyFiles',
  'cloneFiles',
  'downloadFiles',
  'swapData',
  'findBackup',
])
const UNTIL_A_BOOTSTRAP_STARTS: ReadonlySet<StepName> = new Set(
  STEPS.bootstrap.slice(0, STEPS.bootstrap.indexOf('startMysqld')),
)
const READING: ReadonlySet<StepName> = new Set(['findBackup', 'preflight', 'downloadFiles', 'checkBackup'])
const WRITING: ReadonlySet<StepName> = new Set(['copyFiles', 'uploadFiles', 'publishBackup'])
/** On a full disk mysqld itself gives up replication, which no backup system can help: where none replicates. */
const WRITING_THE_DISK: ReadonlySet<StepName> = new Set([
  ...(['takeTablet', 'copyFiles', 'cloneFiles', 'downloadFiles', 'swapData', 'startMysqld', 'confirmRestore'] as const),
])
const BEFORE_A_START: ReadonlySet<StepName> = new Set([
  'stopMysqld',
  'copyFiles',
  'cloneFiles',
  'downloadFiles',
  'swapData',
])

/** Every case there is, in a fixed order. */
export function allCases(): Case[] {
  return WORKFLOWS.flatMap((workflow) =>
    STEPS[workflow].flatMap((step) =>
      FAULTS.filter((fault) => applies(workflow, step, fault)).map((fault) => ({
        id: `${workflow}/${step}/${fault}`,
        workflow,
        step,
        fault,
      })),
    ),
  )
}

/** What a case cannot do without. */
export function needsOf({ workflow, fault }: Case): readonly Need[] {
  const clones = workflow === 'backup-reflink' ? (['clones'] as const) : []
  const isOfDisks = fault.startsWith('store') || fault === 'disk full'
  return isOfDisks ? [...clones, 'mounts'] : clones
}

function applies(workflow: Workflow, step: StepName, fault: Fault): boolean {
  const isBackup = workflow === 'backup' || workflow === 'backup-reflink'
  switch (fault) {
    case 'kill mysqld':
    case 'freeze mysqld':
      return !WITHOUT_MYSQLD.has(step) && !(workflow === 'bootstrap' && UNTIL_A_BOOTSTRAP_STARTS.has(step))
    case 'Temporal away':
      return isHeld(workflow, step)
    case 'mysqld refuses':
      return BEFORE_A_START.has(step)
    case 'store fails':
      return READING.has(step) || WRITING.has(step)
    case 'store stalls':
    case 'store full':
      return WRITING.has(step) || (isBackup && step === 'preflight')
    case 'disk full':
      return WRITING_THE_DISK.has(step)
    default:
      return true
  }
}

/** Whether a lease is there, or is just being made or removed. */
function isHeld(workflow: Workflow, step: StepName): boolean {
  const steps: readonly StepName[] = STEPS[workflow]
  const at = steps.indexOf(step)
  return at >= steps.indexOf('takeTablet') && at <= steps.indexOf('releaseTablet')
}

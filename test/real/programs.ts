import { isError } from '../../model/errors.ts'
import { findProgram } from '../../sandbox/command.ts'
import { findDebianMirror } from '../../sandbox/debian-mirror.ts'
import { provideCeph } from '../../sandbox/provide-ceph.ts'
import { provideFakeGcs } from '../../sandbox/provide-fake-gcs.ts'
import { provideVersitygw } from '../../sandbox/provide-versitygw.ts'
import { provideVitess } from '../../sandbox/provide-vitess.ts'

/** A program of other people, without which some suites cannot run. */
interface OthersProgram {
  /** Patterns of the test files that need it. */
  readonly suites: readonly string[]
  readonly provide: () => Promise<string>
  /** Why this machine cannot have it; undefined where it has it, or what it takes to build or install it. */
  readonly obstacle: () => Promise<string | undefined>
}

const OTHERS_PROGRAMS = {
  versitygw: {
    suites: ['s3*', 'keyspace-buckets', 'capabilities'].map(suite),
    provide: provideVersitygw,
    obstacle: () => obstacleToGo('versitygw', provideVersitygw),
  },
  gcs: {
    suites: ['gcs*', 'capabilities'].map(suite),
    provide: provideFakeGcs,
    obstacle: () => obstacleToGo('fake-gcs-server', provideFakeGcs),
  },
  ceph: {
    suites: ['ceph'].map(suite),
    provide: provideCeph,
    obstacle: async () =>
      (await findDebianMirror()) === undefined
        ? await unlessFound(provideCeph, 'Ceph is not on this machine, and Debian is not among its package sources')
        : undefined,
  },
  vitess: {
    suites: ['vitess'].map(suite),
    provide: provideVitess,
    obstacle: async () =>
      (await findProgram('etcd')) === undefined
        ? "etcd, which keeps Vitess's topology, is not on PATH"
        : await obstacleToGo('Vitess', provideVitess),
  },
} as const satisfies Readonly<Record<string, OthersProgram>>

export type ProgramName = keyof typeof OTHERS_PROGRAMS

/** Why this machine cannot have a program; undefined where it can. Nothing is built or installed to find out. */
export function obstacleTo(name: ProgramName): Promise<string | undefined> {
  return OTHERS_PROGRAMS[name].obstacle()
}

/**
 * Builds or installs programs, unless the machine lacks what that takes.
 * @throws NotFound when it fails all the same
 */
export async function provideAll(...names: readonly ProgramName[]): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      if ((await obstacleTo(name)) === undefined) await OTHERS_PROGRAMS[name].provide()
    }),
  )
}

/** The suites that cannot run here, and why. */
export async function suitesWithoutProgram(): Promise<{ suites: readonly string[]; obstacle: string }[]> {
  const looked = Object.values(OTHERS_PROGRAMS).map(async ({ suites, obstacle }) => ({
    suites,
    obstacle: await obstacle(),
  }))
  return (await Promise.all(looked)).flatMap(({ suites, obstacle }) =>
    obstacle === undefined ? [] : [{ suites, obstacle }],
  )
}

function suite(name: string): string {
  return `test/real/${name}.test.ts`
}

async function obstacleToGo(name: string, provide: () => Promise<string>): Promise<string | undefined> {
  if ((await findProgram('go')) !== undefined) return undefined
  return await unlessFound(provide, `${name} is not on this machine, and there is no Go to build it`)
}

/** `obstacle` where `provide` finds nothing. What is there and cannot be used is a failure. */
async function unlessFound(provide: () => Promise<string>, obstacle: string): Promise<string | undefined> {
  try {
    await provide()
    return undefined
  } catch (error) {
    if (isError(error, 'NotFound')) return obstacle
    throw error
  }
}

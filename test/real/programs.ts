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
  /** Why this machine cannot have it; undefined where it has it, as it then does. */
  readonly obstacle: () => Promise<string | undefined>
}

const OTHERS_PROGRAMS = {
  versitygw: {
    suites: ['s3*', 'keyspace-buckets', 'capabilities', 'agent-rights'].map(suite),
    obstacle: () => obstacleToGo('versitygw', provideVersitygw),
  },
  gcs: {
    suites: ['gcs*', 'capabilities', 'agent-rights'].map(suite),
    obstacle: () => obstacleToGo('fake-gcs-server', provideFakeGcs),
  },
  ceph: {
    suites: ['ceph'].map(suite),
    obstacle: async () =>
      (await findDebianMirror()) === undefined
        ? await unlessFound(provideCeph, 'Ceph is not on this machine, and Debian is not among its package sources')
        : await unlessGiven('Ceph', provideCeph),
  },
  vitess: {
    suites: ['vitess'].map(suite),
    obstacle: async () =>
      (await findProgram('etcd')) === undefined
        ? "etcd, which keeps Vitess's topology, is not on PATH"
        : await obstacleToGo('Vitess', provideVitess),
  },
} as const satisfies Readonly<Record<string, OthersProgram>>

export type ProgramName = keyof typeof OTHERS_PROGRAMS

/** Why this machine cannot have a program; undefined where it has it: it is built or installed for that, once. */
export function obstacleTo(name: ProgramName): Promise<string | undefined> {
  return OTHERS_PROGRAMS[name].obstacle()
}

/** The suites that cannot run here, and why. */
export async function suitesWithoutProgram(): Promise<{ suites: readonly string[]; obstacle: string }[]> {
  const skipped: { suites: readonly string[]; obstacle: string }[] = []
  // One after the other: each build takes all cores for itself.
  for (const { suites, obstacle } of Object.values(OTHERS_PROGRAMS)) {
    const found = await obstacle()
    if (found !== undefined) skipped.push({ suites, obstacle: found })
  }
  return skipped
}

function suite(name: string): string {
  return `test/real/${name}.test.ts`
}

async function obstacleToGo(name: string, provide: () => Promise<string>): Promise<string | undefined> {
  if ((await findProgram('go')) !== undefined) return await unlessGiven(name, provide)
  return await unlessFound(provide, `${name} is not on this machine, and there is no Go to build it`)
}

/** What a package manager says when its sources do not give it something: no mistake of ours, as one in building or starting it is. */
const NOT_GIVEN =
  /dial tcp|no such host|i\/o timeout|TLS handshake|connection re(set|fused)|unexpected EOF|context deadline exceeded|: (4(03|04|10)|5\d\d) |failed to fetch|unable to fetch|could not resolve|unable to locate package/i

async function unlessGiven(name: string, provide: () => Promise<string>): Promise<string | undefined> {
  try {
    await provide()
    return undefined
  } catch (error) {
    const line = isError(error, 'NotFound') ? linesOf(error).find((text) => NOT_GIVEN.test(text)) : undefined
    if (line !== undefined) return `${name} cannot be fetched: ${line.trim()}`
    throw error
  }
}

/** All that was printed: a message holds its last lines only, the error of the process that it comes from the others. */
function linesOf(error: Error): string[] {
  return [...error.message.split('\n'), ...(error.cause instanceof Error ? linesOf(error.cause) : [])]
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

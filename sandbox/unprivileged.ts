import { chown } from 'node:fs/promises'

/** `nobody` of Linux. */
const NOBODY = 65_534

/**
 * How to run a program that refuses to be root, as Vitess's do: where we are root, as `nobody` who may read and write
 * what root may, so that both share one storage directory and one cache. It is a user like any other to the program.
 */
export function unprivileged(program: string, programArguments: readonly string[]): readonly [string, string[]] {
  if (!isRoot()) return [program, [...programArguments]]
  const capability = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override']
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...capability]
  return ['setpriv', [...user, program, ...programArguments]]
}

/**
 * Gives a directory to the user of `unprivileged`: mysqld asks `access(2)` about its files, which goes by the user
 * alone. Everybody must be able to pass through the directories above it.
 */
export async function giveToUnprivileged(directory: string): Promise<void> {
  if (isRoot()) await chown(directory, NOBODY, NOBODY)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

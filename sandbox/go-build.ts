import { runCommand } from './command.ts'
import { tryToDownload } from './download.ts'

/** The largest, Vitess, takes more than ten minutes on two busy cores. */
const BUILT_WITHIN = 45 * 60_000

/**
 * Runs Go, which takes what it needs from the Go module proxy, behind whatever else the machine does. What it has built or fetched is
 * kept when it fails, so that another try goes on from there.
 * @throws NotFound with what it printed last
 */
export async function runGo(
  goArguments: readonly string[],
  { cwd, bin }: { readonly cwd?: string; readonly bin?: string } = {},
): Promise<void> {
  const environment = bin === undefined ? [] : [`GOBIN=${bin}`]
  const command = [...environment, 'nice', '-n', '15', 'go', ...goArguments]
  await tryToDownload(`go ${goArguments.slice(0, 2).join(' ')}`, () =>
    runCommand('env', command, { ...(cwd === undefined ? {} : { cwd }), deadline: BUILT_WITHIN }),
  )
}

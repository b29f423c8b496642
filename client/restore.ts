// Kicks off a restore of the latest backup to one tablet, and follows it:
//   node client/restore.ts zone1-101
// Needs TABLETKEEPER_CONFIG and TEMPORAL_ADDRESS, as the command line does.
import { findTablet, loadConfiguration, parseAlias, RunFailed, STEP_TITLES, Tabletkeeper } from './tabletkeeper.ts'

const alias = parseAlias(process.argv[2] ?? '')
const config = await loadConfiguration()
const { shard } = findTablet(config, alias)

await using keeper = await Tabletkeeper.connect(config.temporal)
const run = await keeper.restore({ shard, tablet: alias })
console.log(`started ${run.workflowId}`)
try {
  let shown = ''
  const result = await run.follow(({ progress, status }) => {
    const step = progress?.current?.step
    const copied = status?.activity?.progress
    const bytes = copied && `${copied.bytesDone} of ${copied.bytesTotal} bytes`
    const line = [step && STEP_TITLES[step], bytes].filter(Boolean).join(' ')
    if (line !== shown) console.log(line)
    shown = line
  })
  console.log(
    `restored ${result.backup} in ${Math.round(result.seconds)} s: ${result.type}, lag ${result.lagSeconds} s`,
  )
} catch (error) {
  if (!(error instanceof RunFailed)) throw error
  console.error(`${error.type}: ${error.message}. ${error.hint ?? ''}`)
  process.exitCode = 1
}

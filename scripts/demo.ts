import { setTimeout as delay } from 'node:timers/promises'
import { backUp, bootstrapAnother, compareAll, failAtStepFour, terminateInMidCopy } from './demo/acts.ts'
import { withMounts } from './demo/namespace.ts'
import { heading, say } from './demo/narrator.ts'
import { setTheStage } from './demo/stage.ts'

/**
 * The whole story on real servers: a backup, a new tablet from it, a backup that fails and one that is terminated, each with the proof
 * that the tablet serves afterwards. Exit status 0 only if everything held.
 */
async function demo(once: boolean): Promise<boolean> {
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  const began = Date.now()
  await using stage = await setTheStage()
  say(`everything is up after ${((Date.now() - began) / 1000).toFixed(1)} s`)
  const acts = [backUp, bootstrapAnother, compareAll, failAtStepFour, terminateInMidCopy]
  let held = true
  for (const act of acts) {
    if (stopped.signal.aborted) return false
    held = (await act(stage)) && held
  }
  heading(held ? 'Everything held' : 'NOT everything held: see above')
  say(`runs, their steps and their failures: ${stage.temporal.uiAddress}/namespaces/default/workflows`)
  say(`files, logs and configuration: ${stage.directory}`)
  if (!once) {
    say('in a second terminal:')
    say(`  export TABLETKEEPER_CONFIG='${stage.configPath}' TEMPORAL_ADDRESS=${stage.temporal.address}`)
    say(`  npm run -s tabletkeeper -- list ${stage.shard.shard}`)
    say('Ctrl-C stops all of it and removes it.')
    await delay(2 ** 31 - 1, undefined, { signal: stopped.signal }).catch(() => undefined)
  }
  return held
}

const once = process.argv.includes('--once') || !process.stdout.isTTY
process.exitCode = (await withMounts()) ?? ((await demo(once)) ? 0 : 1)

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'

/**
 * The demo fills a small file system to make a backup fail, and mounting one takes root. Anybody else runs it again where they are root
 * over mounts of their own; returns its exit status then, and undefined where this process may go on.
 */
export async function withMounts(): Promise<number | undefined> {
  if (process.getuid?.() === 0 || process.env['TABLETKEEPER_DEMO_INSIDE'] !== undefined) return undefined
  const namespace = ['--map-root-user', '--mount']
  if (spawnSync('unshare', [...namespace, 'true']).status !== 0) return undefined
  const again = spawn('unshare', [...namespace, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, TABLETKEEPER_DEMO_INSIDE: '1' },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => signal === 'SIGTERM' && again.kill(signal))
  const [code] = await once(again, 'exit')
  return typeof code === 'number' ? code : 1
}

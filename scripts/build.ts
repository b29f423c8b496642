// npm run build: everything that is published, compiled into dist/, and the workflows bundled, so that a worker starts
// without bundling.
import { spawnSync } from 'node:child_process'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

await rm(dist, { recursive: true, force: true })
const compiled = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (compiled.status !== 0) process.exit(1)

const { code } = await bundleWorkflowCode({
  workflowsPath: join(dist, 'workflows', 'index.js'),
  logger: new DefaultLogger('WARN'),
})
await writeFile(join(dist, 'workflow-bundle.js'), code)
await chmod(join(dist, 'client', 'cli.js'), 0o755)
process.stdout.write(`dist/ is built; its workflow bundle has ${(code.length / 1024).toFixed(0)} KiB\n`)

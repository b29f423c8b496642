// npm run build: everything that is published, compiled into dist/, and the workflows bundled, so that a worker starts
// without bundling.
import { spawnSync } from 'node:child_process'
import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleWorkflows } from './bundle-workflows.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')

await rm(dist, { recursive: true, force: true })
const compiled = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
if (compiled.status !== 0) process.exit(1)

const bytes = await bundleWorkflows(dist)
await chmod(join(dist, 'client', 'cli.js'), 0o755)
process.stdout.write(`dist/ is built; its workflow bundle has ${(bytes / 1024).toFixed(0)} KiB\n`)

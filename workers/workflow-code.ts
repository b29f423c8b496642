import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const prebuilt = fileURLToPath(new URL('../workflow-bundle.js', import.meta.url))
const source = fileURLToPath(new URL('../workflows/index.ts', import.meta.url))

/** The workflows' code: bundled when the package was built, or bundled now from the sources of a checkout. */
export const workflowCode = existsSync(prebuilt)
  ? { workflowBundle: { codePath: prebuilt } }
  : { workflowsPath: source }

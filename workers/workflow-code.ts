import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { WorkerInterceptors } from '@temporalio/worker'

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Makes messages and stack traces of failures payloads, inside workflows and outside. */
export const ENCODED_FAILURES = fileOf(`../workflows/encoded-failures.${extension}`)

/** Modules of the workflow bundle beside the workflows. */
export const WORKFLOW_INTERCEPTORS = [fileOf(`../workflows/refuse-foreign.${extension}`)]

const prebuilt = fileOf('../workflow-bundle.js')

/** What a worker that runs workflows is created with. */
export interface WorkflowCode {
  readonly source: { readonly workflowBundle: { readonly codePath: string } } | { readonly workflowsPath: string }
  readonly interceptors: WorkerInterceptors
}

/**
 * The workflows' code: bundled when the package was built, or bundled now, which takes a second: from the sources of a checkout, and where
 * failures are encrypted, which a bundle must know when it is made.
 */
export function workflowCode(isEncrypted: boolean): WorkflowCode {
  if (!isEncrypted && existsSync(prebuilt))
    return { source: { workflowBundle: { codePath: prebuilt } }, interceptors: {} }
  return {
    source: { workflowsPath: fileOf(`../workflows/index.${extension}`) },
    interceptors: { workflowModules: [...WORKFLOW_INTERCEPTORS] },
  }
}

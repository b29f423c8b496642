import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker'

/**
 * Bundles the workflows of a compiled program, where its workers look for them (`workers/workflow-code.ts`).
 * @param compiled the directory of the program, a path without links
 * @returns bytes of the bundle
 */
export async function bundleWorkflows(compiled: string): Promise<number> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(compiled, 'workflows', 'index.js'),
    workflowInterceptorModules: [join(compiled, 'workflows', 'refuse-foreign.js')],
    logger: new DefaultLogger('WARN'),
  })
  await writeFile(join(compiled, 'workflow-bundle.js'), code)
  return code.length
}

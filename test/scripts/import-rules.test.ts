import { describe, expect, it } from 'vitest'
import { findBreaches } from '../../scripts/import-rules.ts'

const cases = [
  { file: 'mysql/admin.ts', text: "import { x } from '../model/units.ts'", breaches: 0 },
  { file: 'model/units.ts', text: "import { x } from '../mysql/admin.ts'", breaches: 1 },
  { file: 'model/units.ts', text: "import type { X } from '../mysql/admin.ts'", breaches: 1 },
  { file: 'model/units.ts', text: "import {\n  a,\n  b,\n} from '../mysql/admin.ts'", breaches: 1 },
  { file: 'model/units.ts', text: "export * from '../mysql/admin.ts'", breaches: 1 },
  { file: 'engine/copy.ts', text: "const { S3Store } = await import('../storage/s3.ts')", breaches: 0 },
  { file: 'storage/kinds.ts', text: "const copy = await import('../engine/copy.ts')", breaches: 1 },
  { file: 'tablets/standalone/driver.ts', text: "import { y } from '../driver.ts'", breaches: 0 },
  { file: 'tablets/standalone/driver.ts', text: "import { y } from '../../activities/lease.ts'", breaches: 1 },
  { file: 'workflows/backup.ts', text: "import type { Activities } from '../activities/contract.ts'", breaches: 0 },
  { file: 'workflows/backup.ts', text: "import { activities } from '../activities/contract.ts'", breaches: 1 },
  { file: 'workflows/backup.ts', text: "import { proxyActivities } from '@temporalio/workflow'", breaches: 0 },
  { file: 'workflows/backup.ts', text: "import { readFile } from 'node:fs/promises'", breaches: 1 },
  { file: 'client/commands/dev.ts', text: "import { startShard } from '../../sandbox/sample-shard.ts'", breaches: 0 },
  { file: 'client/commands/list.ts', text: "import { startShard } from '../../sandbox/sample-shard.ts'", breaches: 1 },
]

describe('imports point downward only', () => {
  it.each(cases)('$file: $text', ({ file, text, breaches }) => {
    expect(findBreaches(file, `// first line\n${text}\n`)).toHaveLength(breaches)
  })

  it('says where', () => {
    const [breach] = findBreaches('model/units.ts', "import { a } from './a.ts'\nimport { b } from '../client/b.ts'\n")
    expect(breach).toMatchObject({ file: 'model/units.ts', line: 2 })
  })
})

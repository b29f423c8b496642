import { copyBackup } from '../../engine/backup/backup-copy.ts'
import { readCopyRecord } from '../../engine/ledger/copy-ledger.ts'
import { keepHeapSmall } from '../../engine/pool/heap-size.ts'
import { parseConfig } from '../../model/config.ts'
import { openStore } from '../../storage/kinds.ts'
import { peakMebibytes } from '../engine/peak-memory.ts'
import { describe } from '../engine/sample-files.ts'
import { DIRECTORY, HEADER, NAME } from '../engine/sample-run.ts'

// A process for s3-memory.test.ts: `node s3-copy-process.ts <storage, as the configuration has it> <file> <ledger>` copies one file, and
// tells what came of it and what memory that took.

// As the agent does.
keepHeapSmall()
const [storage = '', path = '', ledger = ''] = process.argv.slice(2)
const mysql = '{ defaultsFile: /etc/my.cnf, replication: { user: repl, passwordFile: /etc/repl } }'
const store = await openStore(parseConfig(`storage: ${storage}\nmysql: ${mysql}`, 'test').storage)
const files = [await describe(path, 'Data', 'warehouse/history.csv')]
const { signal } = new AbortController()
const began = performance.now()
const common = { directory: DIRECTORY, header: HEADER, level: 1, concurrency: 2, signal, onProgress: () => {} }
await copyBackup({ ...common, store, files, ledger })
const seconds = (performance.now() - began) / 1000
const [copied] = (await readCopyRecord(ledger, NAME)).files
const { stored, hash } = copied ?? {}
process.stdout.write(JSON.stringify({ stored, hash, seconds, peakMebibytes: await peakMebibytes() }))

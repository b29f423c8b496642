import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { bundleWorkflowCode, Worker } from '@temporalio/worker'
import pino from 'pino'
import { beforeAll, expect, test } from 'vitest'
import { VERSION } from '../../model/version.ts'
import { installRuntime } from '../../workers/telemetry.ts'
import { WORKFLOW_INTERCEPTORS } from '../../workers/workflow-code.ts'

const histories = new URL('../histories/', import.meta.url)
const names = (await readdir(histories)).filter((name) => name.endsWith('.json'))
let code: string

beforeAll(async () => {
  installRuntime(pino({ level: 'silent' }))
  const workflowsPath = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url))
  const logger = { ...console, log() {}, trace() {}, debug() {}, info() {} }
  code = (await bundleWorkflowCode({ workflowsPath, workflowInterceptorModules: [...WORKFLOW_INTERCEPTORS], logger }))
    .code
})

test('histories of every way through every workflow are recorded, by this version too', () => {
  const own = names.filter((name) => name.startsWith(`${VERSION}-`))
  const kinds = new Set(own.map((name) => name.slice(VERSION.length + 1).replace('.json', '')))
  expect([...kinds].sort()).toEqual([
    'backup',
    'backup-cancelled-at-stop',
    'backup-cancelled-at-upload',
    'backup-failed-at-copy',
    'backup-from-clone',
    'backup-no-agent',
    'bootstrap',
    'restore',
    'verifyBackup',
    'verifyBackup-damaged',
  ])
})

test.each(names)('a run as it was recorded replays: %s', async (name) => {
  const history: unknown = JSON.parse(await readFile(new URL(name, histories), 'utf8'))
  await Worker.runReplayHistory({ workflowBundle: { code } }, history)
})

test('a workflow that had changed its steps would not replay', async () => {
  const text = await readFile(new URL(names.find((name) => name.endsWith('-backup.json')) ?? '', histories), 'utf8')
  const changed: unknown = JSON.parse(text.replaceAll('"stopReplication"', '"stopSomethingElse"'))
  await expect(Worker.runReplayHistory({ workflowBundle: { code } }, changed)).rejects.toThrow(
    /nondeterminism|TMPRL1100/i,
  )
})

test('the workflows drag neither Node modules nor parsers of configuration into their bundle', () => {
  for (const module of [
    'node_modules/zod',
    'node_modules/yaml',
    'node_modules/mysql2',
    'node_modules/pino',
    '/mysql/',
    '/storage/',
  ]) {
    expect(code.includes(module), module).toBe(false)
  }
  expect(code.length).toBeLessThan(3_000_000)
})

import { parseConfig } from '../model/config.ts'
import type { S3Config } from '../model/config-storage.ts'
import { TabletkeeperError } from '../model/errors.ts'

/** Storage on an S3 server, with every default that a configuration has. */
export function s3Config(storage: Readonly<Record<string, string | boolean>>): S3Config {
  // A configuration has to say it; nobody asks this one.
  const mysql = { defaultsFile: '/etc/my.cnf', replication: { user: 'repl', passwordFile: '/etc/repl' } }
  // JSON is YAML.
  const text = JSON.stringify({ storage: { kind: 's3', ...storage }, mysql })
  const { storage: parsed } = parseConfig(text, 'the benchmark')
  if (parsed.kind !== 's3') throw new TabletkeeperError('InvalidConfig', `${parsed.kind} is no storage on an S3 server`)
  return parsed
}

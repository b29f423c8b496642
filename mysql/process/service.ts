import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { MysqlConfig } from '../../model/config.ts'
import { messageOf, TabletkeeperError } from '../../model/errors.ts'
import { type StartedProgram, SUCCESS, startProgram } from './started-program.ts'

const runFile = promisify(execFile)

/** What runs mysqld when the agent itself does not. */
export type SupervisedService = Exclude<MysqlConfig['service'], { readonly kind: 'own' }>

/**
 * Tells the service to start or to stop mysqld, and does not wait for it.
 * @param output a file that gets what the command prints
 * @throws InvalidConfig when there is no such command
 */
export async function tellService(
  service: SupervisedService,
  verb: 'start' | 'stop',
  output: string,
): Promise<StartedProgram> {
  const [program, ...argv] =
    service.kind === 'systemd'
      ? (['systemctl', verb, '--', service.unit] as const)
      : (['sh', '-c', service[verb]] as const)
  return await startProgram(program, argv, { output, environment: process.env })
}

/** Why a start that the service was told will not succeed; undefined while it still may. */
export async function startFailure(service: SupervisedService, told: StartedProgram): Promise<string | undefined> {
  const how = told.ended()
  if (how === undefined) return undefined
  if (how !== SUCCESS) return `${told.command} ended with ${how}`
  if (service.kind === 'commands') return undefined
  const state = (await systemctl('show', '--property=ActiveState', '--value', '--', service.unit)).trim()
  return state === 'failed' || state === 'inactive' ? `the unit ${service.unit} is ${state}` : undefined
}

/**
 * What systemd does when the unit's process ends: `no`, `always`, `on-success`, `on-failure`, …
 * @throws InvalidConfig when there is no such unit, or no systemd
 */
export async function restartPolicy(unit: string): Promise<string> {
  const shown = await systemctl('show', '--property=Restart', '--property=LoadState', '--', unit)
  const property = (name: string) => new RegExp(`^${name}=(.+)$`, 'm').exec(shown)?.[1]
  const policy = property('Restart')
  if (property('LoadState') === 'loaded' && policy !== undefined) return policy
  throw new TabletkeeperError(
    'InvalidConfig',
    `systemd knows no unit ${unit} (${property('LoadState') ?? 'no answer'})`,
    {
      hint: "Correct 'mysql.service'; systemctl list-units --type=service shows those there are.",
    },
  )
}

/** A service's part of a line of `/proc/<pid>/cgroup` (cgroups(7)): systemd names the control group of a service after it. */
const SERVICE = /^(?:0:|\d+:name=systemd):.*\/([^/]+\.service)$/m

/** The systemd service that a process belongs to; undefined where it is in none, has ended, or is in another container. */
export async function unitOf(pid: number): Promise<string | undefined> {
  const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
  return SERVICE.exec(groups)?.[1]
}

async function systemctl(...argv: string[]): Promise<string> {
  try {
    return (await runFile('systemctl', argv)).stdout
  } catch (error) {
    throw new TabletkeeperError('InvalidConfig', `systemd does not answer: ${messageOf(error).trim()}`, {
      hint: "'mysql.service' names a systemd unit: run the agent where systemctl works, or give start and stop commands.",
      cause: error,
    })
  }
}

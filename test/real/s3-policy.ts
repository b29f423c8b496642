import { readPage } from '../docs/pages.ts'

/** The policy that docs/operations.md shows, for other names than it has. */
export async function agentPolicy(names: {
  readonly agent: string
  readonly control: string
  readonly bucket: string
  readonly root: string
}): Promise<string> {
  const { blocks } = await readPage('docs/operations.md')
  const shown = blocks.find(({ direction }) => direction === 'bucket policy')
  if (shown === undefined) throw new Error('docs/operations.md shows no bucket policy')
  const role = 'arn:aws:iam::111122223333:role/tabletkeeper-'
  return shown.text
    .replaceAll(`${role}agent-commerce-0`, names.agent)
    .replaceAll(`${role}control`, names.control)
    .replaceAll('arn:aws:s3:::backups/prod', `arn:aws:s3:::${names.bucket}/${names.root}`)
    .replaceAll('arn:aws:s3:::backups"', `arn:aws:s3:::${names.bucket}"`)
}

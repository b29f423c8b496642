import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { startVersitygw, type Versitygw } from '../sandbox/versitygw.ts'
import { runOnce } from './child.ts'
import { provideDataSet } from './data-set.ts'
import { backUpByEngine, type EngineOptions } from './engine-copy.ts'
import { type Outcome, outcomeSchema } from './outcome.ts'
import { type Measurement, runContest } from './rounds.ts'

const BUCKET = 'bench'

export type S3Contender = 'to files' | 'to versitygw'

export interface S3Contest extends EngineOptions {
  readonly megabytes: number
  readonly rounds: number
  readonly directory: string
  readonly seen: (measurement: Measurement) => void
  readonly patience: number
  readonly signal: AbortSignal
}

/** Our backup of the mixed data to an S3 server, which has the same cores and the same disk, against the same to files. */
export async function contestS3(contest: S3Contest): Promise<Measurement<S3Contender>[]> {
  const { megabytes, rounds, directory, seen, patience, signal } = contest
  const { files, bytes } = await provideDataSet('mixed', megabytes)
  await using server = await startVersitygw({ directory: join(directory, 'versitygw') })
  await makeBucket(server)
  const sources = async () => files.map(({ path }) => path)
  return await runContest<S3Contender>({
    ...{ name: 's3', rounds, directory, seen, patience, signal },
    contenders: [
      { name: 'to files', writes: bytes, sources, run: (fresh) => backUpByEngine(files, fresh, contest) },
      { name: 'to versitygw', writes: bytes, sources, run: (fresh) => toServer(server, files, fresh, contest) },
    ],
  })
}

async function toServer(
  { endpoint, keys, directory: ofServer }: Versitygw,
  files: Parameters<typeof backUpByEngine>[0],
  directory: string,
  { level, concurrency }: EngineOptions,
): Promise<Outcome> {
  const root = basename(directory)
  const listed = files.map(({ base, name, path }) => ({ base, name, path }))
  const job = {
    kind: 'backup',
    files: listed,
    store: { endpoint, bucket: BUCKET, root },
    directory,
    level,
    concurrency,
  }
  try {
    return await runOnce('copy-once', job, outcomeSchema, {
      AWS_ACCESS_KEY_ID: keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    })
  } finally {
    await rm(join(ofServer, 'objects', BUCKET, root), { recursive: true, force: true })
  }
}

async function makeBucket({ endpoint, region, keys }: Versitygw): Promise<void> {
  const client = new S3Client({ endpoint, region, credentials: keys, forcePathStyle: true })
  try {
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  } finally {
    client.destroy()
  }
}

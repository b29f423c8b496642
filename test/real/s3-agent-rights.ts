import { ListMultipartUploadsCommand, ListObjectsV2Command, PutBucketPolicyCommand } from '@aws-sdk/client-s3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import { parseShardName } from '../../model/shard-name.ts'
import type { S3Keys } from '../../sandbox/versitygw.ts'
import { agentRightsOf } from '../../storage/agent-rights.ts'
import { listBackups } from '../../storage/catalogue/catalogue.ts'
import { removeBackup } from '../../storage/catalogue/remove-backup.ts'
import { nameAt, SHARD, storeBackup } from '../storage/sample-backup.ts'
import { ofType } from '../storage/store-under-test.ts'
import { agentPolicy } from './s3-policy.ts'
import { BUCKET, newRoot, type S3UnderTest, useKeys } from './s3-server.ts'

const HOLDER = { shard: parseShardName('commerce/0'), tablet: parseAlias('zone1-101') }
const PROBE = 'commerce/0/.tabletkeeper-probe-zone1-0000000101'
const NOTHING = { removal: 'denied', elsewhere: { creation: 'denied', reading: 'denied', removal: 'denied' } } as const
const EVERYTHING = {
  removal: 'allowed',
  elsewhere: { creation: 'allowed', reading: 'allowed', removal: 'allowed' },
} as const

/** What agents may do beyond what they need, as it is told of users that a server's own policies restrict. */
export function describeS3AgentRights(name: string, s3: () => S3UnderTest): void {
  /** Asks as somebody else until the running test ends; as whom policies name. */
  async function asUser(): Promise<string> {
    const keys = await s3().server.addUser()
    useKeys(keys)
    onTestFinished(() => useKeys(s3().server.keys))
    return named(keys)
  }

  function named({ accessKeyId }: S3Keys): string {
    return s3().server.kind === 'ceph' ? `arn:aws:iam:::user/${accessKeyId}` : accessKeyId
  }

  async function setPolicy(Policy: string): Promise<void> {
    await s3().admin.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }))
  }

  async function everythingBelow(root: string): Promise<readonly string[]> {
    const below = { Bucket: BUCKET, Prefix: `${root}/` }
    const { Contents = [] } = await s3().admin.send(new ListObjectsV2Command(below))
    const { Uploads = [] } = await s3().admin.send(new ListMultipartUploadsCommand(below))
    return [...Contents, ...Uploads].map(({ Key = '' }) => Key.slice(root.length + 1))
  }

  /** A repository with an object of another shard. */
  async function newRepository() {
    const { open, root } = newRoot(s3().server)
    await open().put('customer/-80/2026-01-02.030405.zone1-0000000200/0', Buffer.from('theirs'))
    return { open, root, before: await everythingBelow(root) }
  }

  describe(`${name}: the rights of an agent`, () => {
    test('are no more than it needs with the policy that the documentation shows; a probe is left, and is the next one', async () => {
      const { open, root, before } = await newRepository()
      const [control, agent] = [named(await s3().server.addUser()), await asUser()]
      await setPolicy(await agentPolicy({ agent, control, bucket: BUCKET, root }))
      expect(await agentRightsOf(open(), HOLDER)).toEqual(NOTHING)
      expect(await agentRightsOf(open(), HOLDER)).toEqual(NOTHING)
      expect(await everythingBelow(root)).toEqual([...before, PROBE].sort())
      expect((await open().list('commerce/')).objects).toEqual([])
    })

    test('are too many for who may do everything; nothing is left', async () => {
      const { open, root, before } = await newRepository()
      expect(await agentRightsOf(open(), HOLDER)).toEqual(EVERYTHING)
      expect(await everythingBelow(root)).toEqual(before)
    })

    test('are told one by one', async () => {
      const { open, root, before } = await newRepository()
      const agent = await asUser()
      const statement = (Action: readonly string[], ...Resource: readonly string[]) => ({
        ...{ Effect: 'Allow', Principal: { AWS: [agent] }, Action },
        Resource: Resource.map((one) => `arn:aws:s3:::${BUCKET}${one}`),
      })
      const allow = (...more: readonly ReturnType<typeof statement>[]) =>
        setPolicy(
          JSON.stringify({
            Version: '2012-10-17',
            Statement: [
              statement(['s3:ListBucket'], ''),
              statement(['s3:GetObject'], `/${root}/.tabletkeeper-*`),
              statement(['s3:PutObject', 's3:GetObject'], `/${root}/commerce/0/*`),
              ...more,
            ],
          }),
        )
      await allow(statement(['s3:DeleteObject'], `/${root}/commerce/0/*`))
      expect(await agentRightsOf(open(), HOLDER)).toEqual({ ...NOTHING, removal: 'allowed' })
      expect(await everythingBelow(root)).toEqual(before)
      await allow(statement(['s3:GetObject'], `/${root}/*`))
      const { elsewhere } = NOTHING
      expect(await agentRightsOf(open(), HOLDER)).toEqual({
        ...NOTHING,
        elsewhere: { ...elsewhere, reading: 'allowed' },
      })
      await allow(statement(['s3:PutObject'], `/${root}/*`))
      expect(await agentRightsOf(open(), HOLDER)).toEqual({
        ...NOTHING,
        elsewhere: { ...elsewhere, creation: 'allowed' },
      })
      expect(await everythingBelow(root)).toEqual([...before, PROBE].sort())
    })

    test('that it lacks are an error which names them', async () => {
      const { open, root } = await newRepository()
      const agent = await asUser()
      const resources = [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/${root}/*`]
      const reading = { Effect: 'Allow', Principal: { AWS: [agent] }, Action: ['s3:ListBucket', 's3:GetObject'] }
      await setPolicy(JSON.stringify({ Version: '2012-10-17', Statement: [{ ...reading, Resource: resources }] }))
      await expect(agentRightsOf(open(), HOLDER)).rejects.toThrow(ofType('StorageDenied'))
      await expect(agentRightsOf(open(), HOLDER)).rejects.toMatchObject({
        hint: expect.stringContaining('s3:PutObject'),
      })
    })

    test('are not those of people: who looks has to list and to read, and who removes needs what control has', async () => {
      const { open, root } = newRoot(s3().server)
      const name = nameAt('000001')
      await storeBackup(open(), SHARD, name)
      const [agent, person] = [named(await s3().server.addUser()), await asUser()]
      const resources = [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/${root}/*`]
      const reading = { Effect: 'Allow', Principal: { AWS: [person] }, Action: ['s3:ListBucket', 's3:GetObject'] }
      await setPolicy(JSON.stringify({ Version: '2012-10-17', Statement: [{ ...reading, Resource: resources }] }))
      expect(await open().repository()).toMatchObject({ state: 'ready' })
      const complete = [expect.objectContaining({ name, state: 'complete' })]
      expect((await listBackups(open(), SHARD)).entries).toEqual(complete)
      await expect(removeBackup(open(), SHARD, name)).rejects.toThrow(ofType('StorageDenied'))
      expect((await listBackups(open(), SHARD)).entries).toEqual(complete)
      await setPolicy(await agentPolicy({ agent, control: person, bucket: BUCKET, root }))
      await removeBackup(open(), SHARD, name)
      expect((await listBackups(open(), SHARD)).entries).toEqual([])
    })

    test('are not asked for where nothing was ever stored', async () => {
      const { open, root } = newRoot(s3().server)
      expect(await agentRightsOf(open(), HOLDER)).toBeUndefined()
      expect(await everythingBelow(root)).toEqual([])
    })
  })
}

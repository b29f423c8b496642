import { provideCeph } from '../../sandbox/provide-ceph.ts'
import { provideFakeGcs } from '../../sandbox/provide-fake-gcs.ts'
import { provideVersitygw } from '../../sandbox/provide-versitygw.ts'

/** Once before all tests, so that no test's deadline pays for installing and building. */
export async function setup(): Promise<void> {
  await Promise.all([provideCeph(), provideFakeGcs(), provideVersitygw()])
}

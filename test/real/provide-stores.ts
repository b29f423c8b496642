import { provideAll } from './programs.ts'

/** Once before all tests, so that no test's deadline pays for installing and building. */
export async function setup(): Promise<void> {
  await provideAll('ceph', 'gcs', 'versitygw')
}

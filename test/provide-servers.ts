import { provideMysql } from '../sandbox/provide-mysql.ts'
import { provideTemporal, provideTestServer } from '../sandbox/provide-temporal.ts'

/** Once before all tests: whatever has to be installed is installed here, so that no test's deadline pays for it. */
export async function setup(): Promise<void> {
  await Promise.all([provideMysql(), provideTemporal(), provideTestServer()])
}

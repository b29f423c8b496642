import { provideMysql } from '../sandbox/provide-mysql.ts'
import { provideTemporal, provideTestServer } from '../sandbox/provide-temporal.ts'
import { provideTemplate } from '../sandbox/template.ts'

/** Once before all tests: whatever has to be installed or made once is so here, so that no test's deadline pays for it. */
export async function setup(): Promise<void> {
  const [mysql] = await Promise.all([provideMysql(), provideTemporal(), provideTestServer()])
  await provideTemplate(mysql)
}

import { provideAll } from './programs.ts'

/** Once before all tests, so that no test's deadline pays for the build. */
export async function setup(): Promise<void> {
  await provideAll('vitess')
}

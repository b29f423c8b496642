import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { parseAlias } from '../../model/alias.ts'
import type { Milliseconds } from '../../model/units.ts'
import { Mysqld } from '../../mysql/process/process.ts'
import { readServerLayout, type ServerLayout } from '../../mysql/settings/my-cnf.ts'
import { provideMysql } from '../../sandbox/provide-mysql.ts'
import { createTablet, type SampleTablet, type TabletOptions } from '../../sandbox/sample-tablet.ts'
import { temporaryDirectory } from '../storage/temporary-directory.ts'

/** A tablet of one test: its files go, and its mysqld ends, when the test does. */
export interface RealTablet {
  readonly tablet: SampleTablet
  readonly layout: ServerLayout
  readonly mysqld: Mysqld
}

type Options = Pick<TabletOptions, 'settings' | 'datadir'> & { readonly empty?: boolean }

/** Initializes a tablet, unless it shall be `empty`, and does not start it. */
export async function arrangeTablet(options: Options = {}): Promise<RealTablet> {
  const directory = join(await temporaryDirectory(), 'tablet')
  const { empty = false, ...given } = options
  const tablet = await createTablet({
    directory,
    alias: parseAlias('zone1-101'),
    mysql: await provideMysql(),
    ...given,
  })
  onTestFinished(() => tablet.kill())
  if (!empty) await tablet.initialize()
  const { mysqld, defaultsFile } = tablet
  const layout = await readServerLayout(mysqld, defaultsFile)
  return { tablet, layout, mysqld: new Mysqld({ mysqld, defaultsFile, layout, service: { kind: 'own' } }) }
}

/** For a wait that is neither aborted nor long. */
export const WAIT = { signal: new AbortController().signal, timeout: 45_000 as Milliseconds }

/** A plain start. */
export const START = { ...WAIT, extraArguments: [] }

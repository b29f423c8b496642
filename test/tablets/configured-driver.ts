import { parseAlias } from '../../model/alias.ts'
import { findTablet, parseConfig } from '../../model/config.ts'
import { StandaloneDriver } from '../../tablets/standalone/driver.ts'

const yaml = `
storage: { kind: file, root: /mnt/backups }
mysql: { defaultsFile: /etc/mysql/my.cnf, replication: { user: repl, passwordFile: /etc/tabletkeeper/repl } }
shards: { commerce/0: { zone1-101: { host: db2 } } }
`

/** A driver as its configuration makes it, of a tablet whose mysqld nobody asks anything. */
export function configuredDriver(): StandaloneDriver {
  return new StandaloneDriver(findTablet(parseConfig(yaml, 'test'), parseAlias('zone1-101')), [], () => 'REPLICA')
}

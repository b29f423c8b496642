import { parseAlias } from '../../model/alias.ts'
import { findTablet, parseConfig } from '../../model/config.ts'

/** The least that a configuration of one tablet says. */
export const MINIMAL = `storage: { kind: file, root: /mnt/backups }
mysql:
  defaultsFile: /etc/mysql/my.cnf
  replication: { user: repl, passwordFile: /etc/tabletkeeper/repl }
shards:
  commerce/0:
    zone1-100: { host: db1 }
`
export const parse = (yaml: string) => parseConfig(yaml, 'tk.yaml')
export const tablet = (yaml: string, alias = 'zone1-100') => findTablet(parse(yaml), parseAlias(alias))

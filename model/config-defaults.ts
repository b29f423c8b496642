/** Values of keys that a configuration does not say, as it would say them. */
export const DEFAULTS = {
  temporal: { encryptionKeyFiles: [] },
  backup: {
    concurrency: 'cores',
    snapshot: 'auto',
    level: 1,
    maxRate: 'none',
    drainTimeout: '30s',
    maxLag: '10s',
    catchUpTimeout: '1h',
    allowPrimary: false,
    minServing: 1,
  },
  restore: { concurrency: 'cores' },
  agent: {
    listen: '127.0.0.1:7480',
    restoreFromBackup: true,
    deadManTimeout: '15m',
    replaceData: 'redundant',
  },
} as const

/** The same, for each tablet. No service: the agent runs mysqld itself. */
export const TABLET_DEFAULTS = {
  port: 3306,
  mysql: { mysqld: 'mysqld', service: null, admin: { user: 'tabletkeeper' } },
} as const

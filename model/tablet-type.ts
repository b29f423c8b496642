/** What a tablet is for, in Vitess's words (proto/topodata.proto). */
export type TabletType = 'PRIMARY' | 'REPLICA' | 'RDONLY' | 'SPARE' | 'DRAINED' | 'BACKUP' | 'RESTORE'

/** Types that a configuration may give to a tablet that replicates. */
export type ReplicaType = 'REPLICA' | 'RDONLY'

/** Types that a run may return a tablet to: never the ones that mean "out of service". */
export type ServiceType = Exclude<TabletType, 'BACKUP' | 'RESTORE'>

/** Files of the agent in a tablet's private folder that stay when no run is at work. */
export const STAYING = [
  'agent.lock',
  'copies',
  'last-return.json',
  'mysqld.lock',
  'mysqld.out',
  'repository',
  'tablet-type',
]

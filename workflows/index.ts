export { backup } from './backup.ts'
export { bootstrap } from './bootstrap.ts'
export { checkStorage, inspectTablet } from './inspect.ts'
export { restore } from './restore.ts'

import { nextData } from '../../mysql/system/file-blocks.ts'
import type { CompressFrame } from '../pool/tasks.ts'

/**
 * Whether a frame of a file has no data at all, so that nothing of it is read.
 * @throws the system's error, with its code, when the file cannot be asked
 */
export function isHole({
  descriptor,
  offset,
  length,
  sparse,
}: Pick<CompressFrame, 'descriptor' | 'offset' | 'length' | 'sparse'>): boolean {
  return sparse && (nextData(descriptor, offset) ?? Number.POSITIVE_INFINITY) >= offset + length
}

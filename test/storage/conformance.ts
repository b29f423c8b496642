export { describeObjectStore } from '../../storage/conformance/conformance.ts'

export * from '../../storage/conformance/store-under-test.ts'

// A program for `credential_process` in a profile of Amazon's tools: prints what is to be had at an address.
const [source = ''] = process.argv.slice(2)
const answer = await fetch(source)
process.stdout.write(await answer.text())
process.exitCode = answer.ok ? 0 : 1

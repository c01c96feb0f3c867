// Prints every test that a shared cache is given: {id: {kind, depends_on}}; kind is "required",
// "optimal" or "check".
// Usage: node results.mjs SUITE_DIRECTORY
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const directory = process.argv[2]
const load = async name => {
  const path = `${directory}/tests/${name}.mjs`
  return existsSync(path) ? (await import(pathToFileURL(path))).default : []
}
// The newer layout runs what its index names; the older adds Surrogate-Control.
const newer = existsSync(`${directory}/test-engine`)
const suites = [await load('index'), newer ? [] : await load('surrogate-control')].flat()
const tests = {}
for (const suite of suites) {
  for (const test of suite.tests) {
    if (test.browser_only !== true) {
      tests[test.id] = { kind: test.kind ?? 'required', depends_on: test.depends_on ?? [] }
    }
  }
}
console.log(JSON.stringify(tests))

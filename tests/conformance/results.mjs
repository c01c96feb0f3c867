// Prints the kind of every test that a shared cache is given: {id: "required" | "optimal" | "check"}.
// Usage: node results.mjs PACKAGE_DIRECTORY
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const directory = process.argv[2]
const load = async name => {
  const path = `${directory}/tests/${name}.mjs`
  return existsSync(path) ? (await import(pathToFileURL(path))).default : []
}
const suites = [await load('index'), await load('surrogate-control')].flat()
const kinds = {}
for (const suite of suites) {
  for (const test of suite.tests) {
    if (test.browser_only !== true) kinds[test.id] = test.kind ?? 'required'
  }
}
console.log(JSON.stringify(kinds))

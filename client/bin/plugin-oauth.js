#!/usr/bin/env node
// Runs plugin-oauth. The programs for each system are a package of their own, and npm installs the one that
// fits.
import { spawn } from "node:child_process"
import { createRequire } from "node:module"

const { platform, arch, argv } = process
const require = createRequire(import.meta.url)
/** @type {{ homepage?: string, optionalDependencies?: Record<string, string> }} */
const { homepage = "see its README", optionalDependencies = {} } = require("../package.json")
const name = `@plugin-oauth/${platform}-${arch}`

/** @param {string} message */
function fail(message) {
	console.error(`plugin-oauth: ${message}`)
	process.exit(1)
}

function findProgram() {
	try {
		return require.resolve(`${name}/plugin-oauth${platform === "win32" ? ".exe" : ""}`)
	} catch {
		return ""
	}
}

/** @param {string} program */
function run(program) {
	const pass = (/** @type {NodeJS.Signals} */ signal) => {
		// On Windows, Ctrl-C reaches every program at the console, and kill would give them no time.
		if (platform !== "win32") child.kill(signal)
	}
	const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])
	for (const signal of signals) process.on(signal, pass)
	// So it says how it is called, where it says what to type.
	const env = { ...process.env, PLUGIN_OAUTH_COMMAND: "npx plugin-oauth" }
	const child = spawn(program, argv.slice(2), { stdio: "inherit", env })
	child.on("error", error => fail(`${program} cannot be run: ${error.message}`))
	child.on("exit", (code, signal) => {
		for (const name of signals) process.off(name, pass)
		if (signal) process.kill(process.pid, signal)
		else process.exitCode = code ?? 1
	})
}

const program = findProgram()
if (program) run(program)
else if (name in optionalDependencies) {
	const advice = "Run npm install again, on this system and without --omit=optional."
	fail(`the package ${name} is missing. ${advice}`)
} else {
	fail(`this package has no program for ${platform}-${arch}. Build it with Go: ${homepage}`)
}

// The launcher of the npm package, with a shell in the place of the program.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"

const folder = mkdtempSync(join(tmpdir(), "plugin-oauth-launcher"))
after(() => rmSync(folder, { recursive: true }))

/**
 * Returns the launcher as npm installs it, on a system with the program or without.
 * @param {string} name @param {string[]} systems @param {string} [file]
 */
function install(name, systems, file = "plugin-oauth") {
	const modules = join(folder, name, "node_modules")
	const launcher = join(modules, "plugin-oauth", "bin", "plugin-oauth.js")
	cpSync(join(import.meta.dirname, "../bin"), join(launcher, ".."), { recursive: true })
	const names = systems.map(system => [`@plugin-oauth/${system}`, "0.1.0"])
	const optionalDependencies = Object.fromEntries(names)
	const contents = { type: "module", homepage: "https://plugin-oauth.example", optionalDependencies }
	writeFileSync(join(modules, "plugin-oauth", "package.json"), JSON.stringify(contents))
	const program = join(modules, "@plugin-oauth", systems[0] ?? "", file)
	mkdirSync(join(program, ".."), { recursive: true })
	return { launcher, program }
}

/** @param {string} launcher @param {string[]} args */
function run(launcher, ...args) {
	const script = "echo $0; echo $1 >&2; exit 3"
	return ended(spawn(process.execPath, [...args, launcher, "-c", script, "out", "err"]))
}

/**
 * Waits until nobody holds the standard output: neither the launcher nor its child.
 * @param {import("node:child_process").ChildProcessWithoutNullStreams} child
 */
async function ended(child) {
	let out = "", err = ""
	child.stdout.on("data", text => out += text)
	child.stderr.on("data", text => err += text)
	const [code, signal] = await once(child, "close")
	return { code, signal, out, err }
}

const here = `${process.platform}-${process.arch}`

/** @param {string} platform */
function pretend(platform) {
	return `--import=data:text/javascript,Object.defineProperty(process,"platform",{value:"${platform}"})`
}

test("arguments, output and exit code pass through", async () => {
	const { launcher, program } = install("here", [here, "plan9-x64"])
	symlinkSync("/bin/sh", program)
	assert.deepEqual(await run(launcher), { code: 3, signal: null, out: "out\n", err: "err\n" })
})

test("on Windows it is an .exe", async () => {
	const { launcher, program } = install("windows", [`win32-${process.arch}`], "plugin-oauth.exe")
	symlinkSync("/bin/sh", program)
	assert.equal((await run(launcher, pretend("win32"))).code, 3)
})

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
	test(`${signal} ends both`, async () => {
		const { launcher, program } = install(signal, [here])
		symlinkSync("/bin/sh", program)
		const child = spawn(process.execPath, [launcher, "-c", "echo ready; exec sleep 60"])
		await once(child.stdout, "data")
		child.kill(signal)
		assert.equal((await ended(child)).signal, signal)
	})
	test(`${signal} leaves the program its time`, async () => {
		const { launcher, program } = install(`${signal}-trapped`, [here])
		symlinkSync("/bin/sh", program)
		const script = `sleep 60 & trap 'kill $!; echo bye; exit 4' ${signal.slice(3)}; echo ready; wait`
		const child = spawn(process.execPath, [launcher, "-c", script])
		await once(child.stdout, "data")
		child.kill(signal)
		assert.deepEqual(await ended(child), { code: 4, signal: null, out: "bye\n", err: "" })
	})
}

test("a program that is killed ends the launcher likewise", async () => {
	const { launcher, program } = install("killed", [here])
	symlinkSync("/bin/sh", program)
	const child = spawn(process.execPath, [launcher, "-c", "kill -KILL $$"])
	assert.equal((await ended(child)).signal, "SIGKILL")
})

for (const { name, systems, args, message } of [
	{
		name: "a system that no package is for",
		systems: [here],
		args: [pretend("plan9")],
		message: `this package has no program for plan9-${process.arch}. ` +
			"Build it with Go: https://plugin-oauth.example",
	},
	{
		name: "a package that npm left out",
		systems: [here],
		args: [],
		message: `the package @plugin-oauth/${here} is missing. ` +
			"Run npm install again, on this system and without --omit=optional.",
	},
]) {
	test(`${name} gets one sentence`, async () => {
		const { launcher } = install(name, systems)
		const err = `plugin-oauth: ${message}\n`
		assert.deepEqual(await run(launcher, ...args), { code: 1, signal: null, out: "", err })
	})
}

test("a program that may not be run is named", async () => {
	const { launcher, program } = install("forbidden", [here])
	writeFileSync(program, "")
	chmodSync(program, 0o644)
	const { code, err } = await run(launcher)
	assert.equal(code, 1)
	assert.match(err, /^plugin-oauth: .*plugin-oauth cannot be run: .*EACCES\n$/)
})

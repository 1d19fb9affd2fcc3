// Packs the npm packages of a release: one for each system with its programs, and plugin-oauth, which names
// them all as optional dependencies.
//
//	node client/npm/pack.js PROGRAMS PACKED [SYSTEM…]
//
// The folder PROGRAMS has a folder for each system with its programs, as .goreleaser.yaml names them. The
// packages are written to the folder PACKED. If systems are named, only their packages are packed, for a
// test.
import { execFileSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** The systems in Go's words, and in those of Node. */
const systems = {
	"darwin-amd64": { os: "darwin", cpu: "x64" },
	"darwin-arm64": { os: "darwin", cpu: "arm64" },
	"linux-amd64": { os: "linux", cpu: "x64" },
	"linux-arm64": { os: "linux", cpu: "arm64" },
	"windows-amd64": { os: "win32", cpu: "x64" },
	"windows-arm64": { os: "win32", cpu: "arm64" },
}

const client = join(import.meta.dirname, "..")
const ours = JSON.parse(readFileSync(join(client, "package.json"), "utf8"))
const { scripts, devDependencies, ...manifest } = ours

// npm compares the repository with the workflow that a package comes from.
const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env
const origin = name && {
	repository: { type: "git", url: `git+${server}/${name}.git` },
	homepage: `${server}/${name}#readme`,
}
const common = {
	version: manifest.version,
	license: manifest.license,
	...origin,
	publishConfig: { access: "public" },
}

const [programs = usage(), packed = usage(), ...wanted] = process.argv.slice(2)
mkdirSync(packed, { recursive: true })
const staging = mkdtempSync(join(tmpdir(), "plugin-oauth-npm"))
try {
	for (const [system, { os, cpu }] of Object.entries(systems)) {
		if (wanted.length === 0 || wanted.includes(system)) packSystem(system, os, cpu)
	}
	packClient()
} finally {
	rmSync(staging, { recursive: true })
}

/** @returns {never} */
function usage() {
	throw new Error("usage: node client/npm/pack.js PROGRAMS PACKED [SYSTEM…]")
}

/** @param {string} os @param {string} cpu */
function packageName(os, cpu) {
	return `@plugin-oauth/${os}-${cpu}`
}

/** @param {string} system @param {string} os @param {string} cpu */
function packSystem(system, os, cpu) {
	const folder = join(staging, system)
	for (const program of ["plugin-oauth", "plugin-oauth-demo"]) {
		const file = os === "win32" ? `${program}.exe` : program
		cpSync(join(programs, system, file), join(folder, file))
		chmodSync(join(folder, file), 0o755)	// what is kept between two jobs loses it
	}
	pack(folder, {
		name: packageName(os, cpu),
		description: `The programs of plugin-oauth for ${os}-${cpu}.`,
		...common,
		os: [os],
		cpu: [cpu],
		preferUnplugged: true,	// Yarn leaves them where they can be run
	})
}

function packClient() {
	const folder = join(staging, "client")
	for (const name of [...manifest.files, "README.md"]) {
		cpSync(join(client, name), join(folder, name), { recursive: true })
	}
	const names = Object.values(systems).map(({ os, cpu }) => [packageName(os, cpu), manifest.version])
	pack(folder, { ...manifest, ...common, optionalDependencies: Object.fromEntries(names) })
}

/** @param {string} folder @param {object} contents */
function pack(folder, contents) {
	cpSync(join(client, "LICENSE"), join(folder, "LICENSE"))
	writeFileSync(join(folder, "package.json"), `${JSON.stringify(contents, null, "\t")}\n`)
	const options = ["--ignore-scripts", "--pack-destination", packed]
	execFileSync("npm", ["pack", ...options, folder], { stdio: "inherit" })
}

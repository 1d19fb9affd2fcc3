// Builds dist/code.js and dist/ui.html, which is all that Figma loads.
import { readFile, writeFile } from "node:fs/promises"
import { build } from "esbuild"

const options = /** @type {const} */ ({ bundle: true, minify: true, logLevel: "warning" })

await build({
	...options,
	entryPoints: ["src/code/code.ts"],
	target: "es2020", // what Figma's sandbox knows
	outfile: "dist/code.js",
})

const { outputFiles: [script] } = await build({
	...options,
	entryPoints: ["src/ui/ui.ts"],
	target: "es2022",
	write: false,
})
// The page can load no file of the plugin, so its script stands in it.
const page = await readFile("src/ui/ui.html", "utf8")
await writeFile("dist/ui.html", page.replace("<script></script>", () => `<script>${script?.text}</script>`))

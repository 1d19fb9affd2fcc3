package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// onServer renders a plugin where there is no browser, and a localStorage without methods, as in Node 25.
const onServer = `
	Object.defineProperty(globalThis, "localStorage", { configurable: true, value: {} })
	const { createAuth } = await import("plugin-oauth")
	const { useAuth } = await import("plugin-oauth/react")
	const { createElement } = await import("react")
	const { renderToString } = await import("react-dom/server")
	const auth = createAuth({ backend: "https://backend.example" })
	const signedIn = { onChange: () => () => {}, state: { status: "signedIn" } }
	const render = auth => renderToString(createElement(() => useAuth(auth).status))
	process.stdout.write([auth.state.status, render(auth), render(signedIn)].join())`

// What React renders on a server is what it finds first in the browser, whoever is signed in there.
func TestRenderingOnServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink(framerPackages(t), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "--preserve-symlinks", "--input-type=module", "--eval",
		onServer)
	node.Dir = dir
	output, err := node.CombinedOutput()
	if got := string(output); err != nil || got != "signedOut,loading,loading" {
		t.Errorf("%v: %s", err, got)
	}
}

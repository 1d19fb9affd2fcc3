package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"plugin-oauth/internal/testkit"
)

// consumer is what a plugin's author writes: each status has what belongs to it.
const consumer = `import { createAuth, AuthError, type AuthState } from "plugin-oauth"
import { useAuth } from "plugin-oauth/react"

const auth = createAuth({ backend: "https://backend.example" })

export function describe(state: AuthState): string {
	switch (state.status) {
		case "loading": return "…"
		case "waiting": return state.url.toLowerCase()
		case "signedIn": return state.tokens.access_token
		case "signedOut": return state.error instanceof AuthError ? state.error.message : "Sign in"
	}
}

export function App(): string {
	const { status, url } = useAuth(auth)
	return status === "waiting" ? url.toLowerCase() : status
}

// @ts-expect-error: the status may be another
auth.state.url.toLowerCase()
`

// The types serve TypeScript's ways to find a module. The old node10, which the compiler has no more, went by
// types and typesVersions, as bundler does where it does not look at exports.
func TestTypes(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	compiler := filepath.Join(root, "node_modules/.bin/tsc")
	if _, err := os.Stat(compiler); err != nil {
		testkit.Missing(t, "BROWSER_TEST", "TypeScript is not installed (npm ci in the folder client)")
	}
	for name, options := range map[string][]string{
		"bundler":  {"--module", "esnext", "--moduleResolution", "bundler"},
		"node16":   {"--module", "node16", "--moduleResolution", "node16"},
		"nodenext": {"--module", "nodenext", "--moduleResolution", "nodenext"},
		"as node10": {
			"--module", "esnext", "--moduleResolution", "bundler", "--resolvePackageJsonExports", "false",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "plugin.mts"), []byte(consumer), 0o644); err != nil {
				t.Fatal(err)
			}
			modules := filepath.Join(dir, "node_modules")
			if err := os.Mkdir(modules, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(root, filepath.Join(modules, "plugin-oauth")); err != nil {
				t.Fatal(err)
			}
			options = append(options,
				"--strict", "--noEmit", "--target", "es2022", "--types", "", "plugin.mts")
			tsc := exec.CommandContext(t.Context(), compiler, options...)
			tsc.Dir = dir
			if output, err := tsc.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

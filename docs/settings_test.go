package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/plugins"
)

// variablesRead returns the names of the variables that the program reads: those of a plugin, and those that
// the code names.
func variablesRead(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	plugins.New(func(field string) string {
		names[plugins.Variable(field)] = true
		return ""
	})
	delete(names, "SLUG") // the plugin of the environment answers at the root
	files, err := filepath.Glob("../hooks/*.go")
	if err != nil {
		t.Fatal(err)
	}
	reads := regexp.MustCompile(`(?:\bget\(|\(get, |os\.Getenv\(|os\.LookupEnv\()"([A-Z][A-Z0-9_]*)"`)
	for _, file := range append(files, "../main.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range reads.FindAllStringSubmatch(string(code), -1) {
			names[match[1]] = true
		}
	}
	delete(names, "FLY_APP_NAME")         // Fly.io sets it
	delete(names, "FLY_MACHINE_ID")       // likewise
	delete(names, "PLUGIN_OAUTH_COMMAND") // the launcher of the npm package sets it
	return names
}

// The table of the configuration page has every variable that the program reads, and no other. The example of
// a .env file has none that is not there.
func TestVariables(t *testing.T) {
	t.Parallel()
	read, listed := variablesRead(t), map[string]bool{}
	quoted := regexp.MustCompile("`([A-Z][A-Z0-9_]*)`")
	_, table, _ := strings.Cut(find(t, "docs/configuration.md").text, "\n| Variable |")
	table, _, _ = strings.Cut(table, "\n\n")
	for row := range strings.Lines(table) {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, match := range quoted.FindAllStringSubmatch(names, -1) {
			if listed[match[1]] {
				t.Errorf("the page has %s twice", match[1])
			}
			listed[match[1]] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		if !listed[name] {
			t.Errorf("the program reads %s, which the page does not have", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if !read[name] {
			t.Errorf("the page has %s, which the program does not read", name)
		}
	}
	example := find(t, ".env.example").text
	for _, match := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]*)=`).FindAllStringSubmatch(example, -1) {
		if !listed[match[1]] {
			t.Errorf(".env.example has %s, which the page does not have", match[1])
		}
	}
}

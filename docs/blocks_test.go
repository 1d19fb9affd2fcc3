package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// run names the test that runs a block, or says why none does. Exactly one is set.
type run struct {
	test string // the path of a test's file, a space, and the test's name
	why  string
}

// The tests that run blocks.
var (
	inShell    = run{test: "docs/commands_test.go TestCommands"}
	inBrowser  = run{test: "examples/demo/readme_test.go TestREADME"}
	inReact    = run{test: "examples/demo/readme_test.go TestREADMEReact"}
	inSettings = run{test: "docs/commands_test.go TestSettings"}
	inSystemd  = run{test: "docs/systemd_test.go TestSystemd"}
	inProxies  = run{test: "hooks/proxies_test.go TestBehindProxies"}
	inThree    = run{test: "docs/cluster_test.go TestThreeTerminals"}
)

// notRun is a block that no test runs.
func notRun(why string) run { return run{why: why} }

// blocks are all blocks of code in all pages, by their names.
var blocks = map[string]run{
	"README.md: ./plugin-oauth demo":                      notRun("it is in the archive of a release"),
	"README.md: npx plugin-oauth demo":                    notRun("npm has it after a release"),
	"README.md: cd plugin-oauth":                          inShell,
	"README.md: PROVIDER=google":                          inShell,
	"README.md: ./plugin-oauth serve":                     inShell,
	`README.md: import { createAuth } from "plugin-oauth`: inReact,
	`README.md: import { createAuth } from "http://local`: inBrowser,
	"README.md: fly launch --copy-config --no-deploy":     notRun("it needs an account at Fly.io"),

	`client/README.md: import { createAuth } from "plugin-oauth`: inBrowser,
	"client/README.md: let attempt":                              inBrowser,
	"client/README.md: const stop = auth.onChange(({ status, to": notRun("it has an ellipsis"),
	`client/README.md: import { useAuth } from "plugin-oauth/re`: notRun("the README has more of it"),
	"client/README.md: npm install plugin-oauth":                 notRun("see client/npm/try.sh"),
	"client/README.md: const auth = createAuth({":                inBrowser,

	"docs/api-calls.md: API_HOSTS=api.notion.com":                 inSettings,
	`docs/api-calls.md: const auth = createAuth({ backend: "http`: inBrowser,
	"docs/api-calls.md: POST https://my-backend.fly.dev/fetch/ap": notRun("the client sends it"),

	"docs/porting-framers-notion-plugin.md: PROVIDER=notion": inSettings,

	`docs/porting-framers-notion-plugin.md: import { createAuth } from "plugin-oauth`: notRun("an excerpt"),
	`docs/porting-framers-notion-plugin.md: import { Client } from "@notionhq/client`: notRun("likewise"),

	"docs/sealed-tokens.md: TOKENS=sealed": inSettings,

	"docs/api.md: curl -X POST http://localhost:8787/autho":    inShell,
	"docs/client.md: curl -O http://localhost:8787/client.js":  inShell,
	`docs/client.md: const backend = "http://localhost:8787"`:  inBrowser,
	`docs/client.md: const old = JSON.parse(localStorage.getI`: inBrowser,
	"docs/client.md: await fetch(`${backend}/revoke?token=${e": inBrowser,

	"docs/contributing.md: export GOTOOLCHAIN=auto": notRun("it would run itself"),
	"docs/contributing.md: go test ./hooks/oauth":   notRun("likewise; see TestNamedTests"),

	"docs/contributing.md: BROWSER_TEST=required go test ./examples": notRun("likewise"),
	"docs/contributing.md: go test -tags faults ./hooks ./hooks/clu": notRun("likewise"),

	"docs/deploying.md: fly secrets set SUPERUSER_EMAIL='…' SUPE": notRun("it needs an account at Fly.io"),
	`docs/deploying.md: const auth = createAuth({ backend: "http`: inBrowser,
	"docs/deploying.md: docker build -t plugin-oauth .":           notRun("it needs Docker"),

	"docs/how-it-works.md: plugin":                                   notRun("it is a drawing"),
	"docs/how-it-works.md: stateDiagram-v2":                          notRun("GitHub draws it"),
	"docs/many-plugins.md: const auth = createAuth({ backend, param": inBrowser,

	"docs/backups.md: plugin-oauth backup backup.zip":  notRun("backup_test.go runs it"),
	"docs/backups.md: plugin-oauth restore backup.zip": notRun("likewise"),

	"docs/cluster.md: echo CLUSTER=a=127.0.0.1:2381,b=127.0.0.": inThree,
	"docs/cluster.md: CLUSTER_NAME=a ./plugin-oauth serve --ht": inThree,
	"docs/cluster.md: CLUSTER_NAME=b ./plugin-oauth serve --ht": inThree,
	"docs/cluster.md: CLUSTER_NAME=c ./plugin-oauth serve --ht": inThree,
	"docs/cluster.md: curl -X POST http://localhost:8788/autho": inThree,
	"docs/cluster.md: curl -X POST http://localhost:8787/autho": inThree,
	"docs/cluster.md: CLUSTER=a=10.0.0.1:2380,b=10.0.0.2:2380,": notRun("it needs three machines"),
	"docs/cluster.md: [Unit]":                                   notRun("it needs machines with systemd"),
	"docs/cluster.md: backend plugin_oauth":                     notRun("it needs three machines"),
	"docs/cluster.md: fly secrets set --stage CLUSTER=fly CLUS": notRun("it needs an account at Fly.io"),
	"docs/cluster.md: cd examples/cluster":                      notRun("it needs Docker"),
	"docs/cluster.md: kubectl create secret generic plugin-oau": notRun("it needs Kubernetes"),

	"docs/operating.md: plugin-oauth doctor": notRun("command_doctor_test.go runs it"),

	`docs/operating.md: {"time":"…","level":"WARN","msg":"login`: notRun("the program prints it"),
	"docs/providers.md: plugin-oauth providers":                  inShell,

	"docs/systemd.md: PUBLIC_URL=https://backend.example":       inSettings,
	"docs/systemd.md: sudo install -m 755 plugin-oauth /usr/lo": inSystemd,
	"docs/systemd.md: systemctl status plugin-oauth.service":    notRun("it needs a machine with systemd"),
	"docs/systemd.md: sudo plugin-oauth superuser upsert you@b": notRun("command_root_test.go runs it"),
	"docs/systemd.md: [Service]":                                notRun("it needs a machine with systemd"),
	"docs/systemd.md: journalctl -u plugin-oauth.service --fol": notRun("likewise"),
	"docs/proxies.md: # The path without the query.":            inProxies,
	"docs/proxies.md: {":                                        inProxies,
	"docs/proxies.md: global":                                   inProxies,
	"docs/proxies.md: # A log of paths without queries.":        inProxies,
	"docs/proxies.md: StartServers 10":                          inProxies,
	"docs/proxies.md: map $request_uri $below_oauth {":          inProxies,
	"docs/proxies.md: location /oauth/ {":                       inProxies,
	"docs/proxies.md: handle_path /oauth/* {":                   inProxies,
	"docs/proxies.md: use_backend plugin_oauth if { path_beg /": inProxies,
	`docs/proxies.md: ProxyPass "/oauth/" "http://127.0.0.1:87`: inProxies,

	"examples/framer-plugin/README.md: npm install": notRun("framer_test.go builds it"),
	"examples/framer-notion/README.md: npm install": notRun("likewise"),
	"examples/figma-plugin/README.md: npm ci":       notRun("figma_plugin_test.go builds it"),

	"examples/figma-plugin/README.md: BROWSER_TEST=required go test ./examples": notRun("see TestNamedTests"),
}

// notRunPages are pages of which no block is run.
var notRunPages = map[string]string{
	"docs/releasing.md": "its commands publish a release",
}

// Each block of code is run by a test, or stands in the table with a reason.
func TestEveryBlockIsRun(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range pages(t) {
		for _, block := range p.blocks() {
			if _, exempt := notRunPages[p.path]; exempt {
				continue
			}
			name := block.name()
			if _, known := blocks[name]; !known {
				t.Errorf("no test runs the block %q: run it, or say here why not", name)
			}
			seen[name] = true
		}
	}
	for name, run := range blocks {
		if !seen[name] {
			t.Errorf("there is no block %q any more", name)
		}
		if (run.test == "") == (run.why == "") {
			t.Errorf("%s: it needs either a test or a reason", name)
		} else if run.test != "" {
			if err := hasTest(run.test); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// hasTest says why a test is not in its file.
func hasTest(test string) error {
	file, name, _ := strings.Cut(test, " ")
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(file)))
	if err == nil && !strings.Contains(string(text), "\nfunc "+name+"(t *testing.T) {") {
		err = fmt.Errorf("%s has no %s", file, name)
	}
	return err
}

// The tests that the pages name are there.
func TestNamedTests(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`go test \./(\S+) -run '?(\w+)`)
	for _, p := range pages(t) {
		for _, match := range named.FindAllStringSubmatch(p.text, -1) {
			files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(match[1]), "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				found = found || strings.Contains(string(text), "\nfunc "+match[2])
			}
			if !found {
				t.Errorf("%s: ./%s has no test %s", p.path, match[1], match[2])
			}
		}
	}
}

//go:build unix

package docs

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/internal/testkit"
)

// The commands for three terminals on one computer run as they stand, but for the ports, and for the provider
// in .env. Somebody signs in across all three, and goes on when one of them is ended.
func TestThreeTerminals(t *testing.T) {
	t.Parallel()
	const page = "docs/cluster.md"
	c := newClean(t)
	program, err := testkit.Build()
	if err == nil {
		err = os.Symlink(program, filepath.Join(c.clone(), "plugin-oauth"))
	}
	if err != nil {
		t.Fatal(err)
	}
	free := freePorts(t, "8787", "8788", "8789", "2381", "2382", "2383")
	block := func(begin string) string { return free.Replace(c.block(page, begin)) }
	at := func(port string) string { return free.Replace("http://localhost:" + port) }

	p := testkit.NewBackend(t, at("8787"))
	client := p.Provider.Client(p.URL)
	p.Provider.Knows(client)
	settings := "CLIENT_ID=" + client.ClientID + "\nCLIENT_SECRET=" + client.ClientSecret +
		"\nREDIRECT_URI=" + client.RedirectURI + "\nSCOPE=" + client.Scope +
		"\nAUTHORIZE_ENDPOINT=" + client.AuthorizeEndpoint + "\nTOKEN_ENDPOINT=" + client.TokenEndpoint + "\n"
	if err := os.WriteFile(filepath.Join(c.clone(), ".env"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	c.output(block("echo CLUSTER="))
	first := c.open(c.clone(), block("CLUSTER_NAME=a"))
	second := c.open(c.clone(), block("CLUSTER_NAME=b"))
	first.await("this machine has no data, and waits for the others")
	third := c.open(c.clone(), block("CLUSTER_NAME=c"))
	for port, w := range map[string]*terminal{"8787": first, "8788": second, "8789": third} {
		w.await(at(port) + "/_/")
	}
	c.signInAcross(p, strings.Split(strings.TrimSpace(block("curl -X POST http://localhost:8788")), "\n"))
	for _, w := range []*terminal{first, second, third} {
		if strings.Contains(w.printed.String(), "Change REDIRECT_URI") {
			t.Errorf("it asks for a REDIRECT_URI of its own, though all finish all:\n%s", w.printed)
		}
	}

	second.interrupt()
	c.signInAcross(p, strings.Split(strings.TrimSpace(block("curl -X POST http://localhost:8787")), "\n"))
}

// signInAcross starts a sign-in with the first line, lets the person sign in, and has the tokens with the
// second.
func (c clean) signInAcross(p *testkit.Backend, lines []string) {
	c.t.Helper()
	var started struct{ URL, ReadKey string }
	answer := c.output(lines[0] + " --silent")
	if err := json.Unmarshal([]byte(answer), &started); err != nil || started.ReadKey == "" {
		c.t.Fatalf("%s: %v", answer, err)
	}
	authorizationURL, err := url.Parse(started.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	p.ExpectPage("the page", p.Get(p.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	got := c.output(strings.ReplaceAll(lines[1], "READ_KEY", started.ReadKey) + " --silent")
	if got != testkit.TokenResponse {
		c.t.Errorf("%s prints %s", lines[1], got)
	}
}

// freePorts replaces ports by free ones.
func freePorts(t *testing.T, ports ...string) *strings.Replacer {
	t.Helper()
	var replacements []string
	for _, port := range ports {
		address, err := testkit.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		_, free, _ := strings.Cut(address, ":")
		replacements = append(replacements, port, free)
	}
	return strings.NewReplacer(replacements...)
}

// The files for Docker compose and Kubernetes set variables that the service reads, and name machines that it
// takes.
func TestClusterFiles(t *testing.T) {
	t.Parallel()
	read := variablesRead(t)
	variable := regexp.MustCompile(`(?m)^ *(?:- name: )?([A-Z][A-Z_]+)(?:: .*)?$`)
	list := regexp.MustCompile(`CLUSTER(?:: |\n +value: ")(\S+)`)
	broken := regexp.MustCompile(`\\\n +`)
	for _, file := range []string{"compose.yml", "kubernetes.yml"} {
		content, err := os.ReadFile("../examples/cluster/" + file)
		if err != nil {
			t.Fatal(err)
		}
		content = broken.ReplaceAll(content, nil)
		found := map[string]bool{}
		for _, match := range variable.FindAllStringSubmatch(string(content), -1) {
			if found[match[1]] = true; !read[match[1]] {
				t.Errorf("%s sets %s, which nobody reads", file, match[1])
			}
		}
		for _, name := range []string{"CLUSTER", "CLUSTER_NAME", "CLUSTER_SECRET", "ENCRYPTION_KEY"} {
			if !found[name] {
				t.Errorf("%s does not set %s", file, name)
			}
		}
		if drive := regexp.MustCompile(`"[A-Za-z]:/[^"]*"`).Find(content); drive != nil {
			t.Errorf("%s has a volume that Docker takes for a drive of Windows: %s", file, drive)
		}
		match := list.FindSubmatch(content)
		if match == nil {
			t.Fatalf("%s has no machines", file)
		}
		machines, err := cluster.ParseMachines(strings.Trim(string(match[1]), `"`))
		if err != nil || len(machines) != 3 {
			t.Errorf("%s names the machines %v: %v", file, machines, err)
		}
	}
}

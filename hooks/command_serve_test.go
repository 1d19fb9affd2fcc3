package hooks

import (
	"os"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase"
)

// Without an address the server listens where plugins look for it. With a domain, PocketBase's own defaults
// hold, and the certificate of mkcert, here a broken one, is left alone. It changes the working folder, so it
// is not parallel.
func TestServeAddress(t *testing.T) {
	const broken = "broken"
	for _, test := range []struct {
		name           string
		flags, domains []string
		pem            string // what the files of mkcert hold; blank: there are none
		http           string // where it would listen
		refused        bool
		both           bool // on both loopback addresses
	}{
		{name: "nothing given", http: defaultAddress, both: true},
		{name: "a blank --http", flags: []string{"--http", ""}, http: defaultAddress, both: true},
		{name: "a port", flags: []string{"--http", "8080"}, http: "127.0.0.1:8080", both: true},
		{name: "any port", flags: []string{"--http", "0"}, http: "127.0.0.1:0", both: true},
		{name: "a port of all networks", flags: []string{"--http", ":8080"}, http: ":8080"},
		{name: "localhost", flags: []string{"--http", "localhost:80"}, http: "localhost:80"},
		{name: "IPv6", flags: []string{"--http", "[::1]:80"}, http: "[::1]:80"},
		{name: "a service", flags: []string{"--http", "localhost:http"}, http: "localhost:http"},
		{
			name: "a port, with a domain", flags: []string{"--http", "8080"},
			domains: []string{"plugin.example"}, http: "0.0.0.0:8080",
		},
		{name: "--http", flags: []string{"--http", "0.0.0.0:8080"}, http: "0.0.0.0:8080"},
		{name: "domain", domains: []string{"plugin.example"}},
		{name: "domain, beside a certificate", domains: []string{"plugin.example"}, pem: broken},
		{name: "--https, beside a certificate", flags: []string{"--https", "0.0.0.0:443"}, pem: broken},
		{name: "certificate", pem: broken, http: defaultAddress, refused: true, both: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, file := range []string{"localhost.pem", "localhost-key.pem"} {
				if test.pem == "" {
					continue
				}
				if err := os.WriteFile(file, []byte(test.pem), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			command := NewServeCommand(pocketbase.New(), "test")
			if err := command.ParseFlags(test.flags); err != nil {
				t.Fatal(err)
			}
			err := command.PreRunE(command, test.domains)
			if got := command.Flag("http").Value.String(); got != test.http || (err != nil) != test.refused {
				t.Errorf("it would listen on %q, %v", got, err)
			}
			command = NewServeCommand(pocketbase.New(), "test")
			if err := command.ParseFlags(test.flags); err != nil {
				t.Fatal(err)
			}
			var config Config
			if _, err := chooseAddress(command, test.domains, &config); err != nil ||
				config.bothLoopbacks != test.both {
				t.Errorf("on both loopback addresses: %t, %v", config.bothLoopbacks, err)
			}
		})
	}
	if defaultAddress != "127.0.0.1:8787" {
		t.Errorf("deployed plugins do not look at %s", defaultAddress)
	}
}

// What is no address, and what is no domain, is refused with the right way to write it.
func TestServeArguments(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"localhost":             `--http "localhost" has no port; write it like localhost:8787`,
		"http://localhost:8787": `--http "http://localhost:8787" must be only a host and a port, such as`,
		"99999":                 `--http "99999" is not a port`,
		"::1:8787":              `--http "::1:8787" is not an address; write it like 127.0.0.1:8787 or [`,
		"127.0.0.1:":            `--http "127.0.0.1:" must end in a port`,
		"127.0.0.1:http:1":      `--http "127.0.0.1:http:1" is not an address`,
		"127.0.0.1:65536":       `--http "127.0.0.1:65536" must end in a port, a number up to 65535`,
	} {
		_, err := addressWithHost("http", value, "127.0.0.1")
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
	const noDomain = " is not a domain such as my-backend.example"
	const write = "is not a domain; for an address write"
	for domain, want := range map[string]string{
		"backend.example": "", "My-Backend.fly.dev.": "", "xn--bcher-kva.example": "", "a.b.c.example": "",
		"8788":                    `"8788" is not a domain; for the port write --http 8788`,
		":8788":                   `":8788" ` + write + " --http :8788",
		"localhost:8788":          `"localhost:8788" ` + write + " --http localhost:8788",
		"127.0.0.1:8788":          `"127.0.0.1:8788" ` + write + " --http 127.0.0.1:8788",
		"localhost":               `"localhost"` + noDomain,
		"127.0.0.1":               `"127.0.0.1"` + noDomain,
		"::1":                     `"::1"` + noDomain,
		"https://backend.example": `"https://backend.example"` + noDomain,
		"backend.example/":        `"backend.example/"` + noDomain,
		"backend.example:443":     `"backend.example:443"` + noDomain,
		"-a.example":              `"-a.example"` + noDomain,
		"*.example":               `"*.example"` + noDomain,
		"":                        `""` + noDomain,
	} {
		err := checkDomains([]string{"first.example", domain})
		if (want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", domain, err)
		}
	}
}

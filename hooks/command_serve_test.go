package hooks

import (
	"os"
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
	}{
		{name: "nothing given", http: defaultAddress},
		{name: "--http", flags: []string{"--http", "0.0.0.0:8080"}, http: "0.0.0.0:8080"},
		{name: "domain", domains: []string{"plugin.example"}},
		{name: "domain, beside a certificate", domains: []string{"plugin.example"}, pem: broken},
		{name: "--https, beside a certificate", flags: []string{"--https", "0.0.0.0:443"}, pem: broken},
		{name: "certificate", pem: broken, http: defaultAddress, refused: true},
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
		})
	}
	if defaultAddress != "127.0.0.1:8787" {
		t.Errorf("deployed plugins do not look at %s", defaultAddress)
	}
}

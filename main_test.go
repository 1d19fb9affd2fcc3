package main

import (
	"os"
	"testing"

	"github.com/pocketbase/pocketbase"
)

// Without an address the server listens where plugins look for it. With a domain, PocketBase's own defaults hold, and
// the certificate of mkcert, here a broken one, is left alone.
func TestServeAddress(t *testing.T) {
	for _, test := range []struct {
		flags, domains []string
		pem            bool
		http           string
		refused        bool
	}{
		{http: "127.0.0.1:8787"},
		{flags: []string{"--http", "0.0.0.0:8080"}, http: "0.0.0.0:8080"},
		{domains: []string{"plugin.example"}, http: ""},
		{domains: []string{"plugin.example"}, pem: true, http: ""},
		{flags: []string{"--https", "0.0.0.0:443"}, pem: true, http: ""},
		{pem: true, http: "127.0.0.1:8787", refused: true},
	} {
		t.Chdir(t.TempDir())
		if test.pem {
			for _, file := range []string{"localhost.pem", "localhost-key.pem"} {
				if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		serve := serveCommand(pocketbase.New())
		if err := serve.ParseFlags(test.flags); err != nil {
			t.Fatal(err)
		}
		err := serve.PreRunE(serve, test.domains)
		if got := serve.Flag("http").Value.String(); got != test.http || (err != nil) != test.refused {
			t.Errorf("%+v: it would listen on %q, %v", test, got, err)
		}
	}
}

package hooks

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A data folder from before the collection plugins opens, and its logins finish. testdata/before-plugins.db.gz is the
// data.db of that version (commit 3906a15) with SESSION_TTL=876000h, one login pending and one ready.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	packed, err := os.Open("testdata/before-plugins.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(p.dir, "pb_data")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "data.db"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "ENCRYPTION_KEY="+testEncryptionKey, "SUPERUSER_EMAIL=admin@plugin.example", "SUPERUSER_PASSWORD=superuser-password")
	p.start()

	const pending, ready = "FBsLbNlzAmil47D52JL94H9VVzN2nOm43dQqnPvW-I0", "MftdOyqZ9XBLjHpUM3SF3jaA7CtYFZ7zhP_YHss0s2E"
	p.expect("ready", p.poll(ready), http.StatusOK, `{"access_token":"from before"}`)
	p.expect("ready, again", p.poll(ready), http.StatusNotFound, bodyUnknown)
	p.expect("pending", p.poll(pending), http.StatusNotFound, bodyPending)
	authorizationURL, _ := p.authorize()
	query := authorizationURL.Query()
	query.Set("state", "X5_Mqa_8bWDYJqO3ouKTZo6_fCHSNu2wYs9UazhjjXs")
	query.Set("code_challenge", "YLOWC-M5mrZOgwV4AddBmdsrlmttIeEPIEu6WPDj0OA")
	authorizationURL.RawQuery = query.Encode()
	p.expectPage("redirect", p.get(p.agree(authorizationURL)), http.StatusOK, "You are signed in")
	p.expect("poll", p.poll(pending), http.StatusOK, tokenResponse)

	// The new collection works in the old folder.
	p.signIn()
	one := p.add("one", nil)
	page, readKey := one.login()
	one.expectPage("a new plugin", page, http.StatusOK, "You are signed in")
	one.expect("a new plugin", one.poll(readKey), http.StatusOK, tokenResponse)
}

package hooks

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// unpack writes the content of a .gz file into a new folder.
func unpack(t *testing.T, source, target string) {
	t.Helper()
	packed, err := os.Open(source)
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
	if err := os.Mkdir(filepath.Dir(target), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A data folder from before the collection plugins opens, and its logins finish.
// testdata/before-plugins.db.gz is the data.db of that version (commit 3906a15) with SESSION_TTL=876000h, one
// login pending and one ready.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	unpack(t, "testdata/before-plugins.db.gz", filepath.Join(p.Dir, "pb_data", "data.db"))
	p.Env = append(append(p.Env, testkit.SuperuserEnv()...), "ENCRYPTION_KEY="+testEncryptionKey)
	p.Start()

	const (
		pending = "FBsLbNlzAmil47D52JL94H9VVzN2nOm43dQqnPvW-I0"
		ready   = "MftdOyqZ9XBLjHpUM3SF3jaA7CtYFZ7zhP_YHss0s2E"
	)
	p.Expect("ready", p.Poll(ready), http.StatusOK, `{"access_token":"from before"}`)
	p.Expect("ready, again", p.Poll(ready), http.StatusNotFound, bodyUnknown)
	p.Expect("pending", p.Poll(pending), http.StatusNotFound, bodyPending)
	authorizationURL, _ := p.Authorize()
	query := authorizationURL.Query()
	query.Set("state", "X5_Mqa_8bWDYJqO3ouKTZo6_fCHSNu2wYs9UazhjjXs")
	query.Set("code_challenge", "YLOWC-M5mrZOgwV4AddBmdsrlmttIeEPIEu6WPDj0OA")
	authorizationURL.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	p.ExpectPage("redirect", p.Get(p.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	p.Expect("poll", p.Poll(pending), http.StatusOK, testkit.TokenResponse)

	// The new collection works in the old folder.
	one := addPlugin(p.Backend, "one", nil)
	page, readKey := one.Login()
	one.ExpectPage("a new plugin", page, http.StatusOK, "You are signed in")
	one.Expect("a new plugin", one.Poll(readKey), http.StatusOK, testkit.TokenResponse)
}

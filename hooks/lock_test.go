package hooks

import (
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// A data folder has one service. What else needs it alone is refused in one line, what may run beside works,
// and the service loses nothing. Its lock ends with its process, however that ends.
func TestOneFolderOneProcess(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Start()
	authorizationURL, readKey := p.Authorize()
	const inUse = "plugin-oauth: the data folder pb_data is used by another process; stop that one first, or " +
		"choose another folder with --dir\n"
	for _, arguments := range []string{"serve --http 127.0.0.1:0", "migrate up", "migrate down 1"} {
		if out, code := p.Run(strings.Fields(arguments)...); code != 1 || out != inUse {
			t.Errorf("%s: exit %d\n%s", arguments, code, out)
		}
	}
	p.Env = append(p.Env, "ENCRYPTION_KEY=0123456789abcdef0123456789abcdef",
		"NEW_ENCRYPTION_KEY=fedcba9876543210fedcba9876543210")
	for arguments, want := range map[string]string{
		"superuser upsert admin@plugin.example long-enough": "Successfully saved",
		"doctor": "Checking 1 plugin…",
		"rekey":  "there is no client secret in",
	} {
		out, _ := p.Run(strings.Fields(arguments)...)
		if !strings.Contains(out, want) || strings.Contains(out, inUse) {
			t.Errorf("%s:\n%s", arguments, out)
		}
	}
	p.ExpectPage("redirect", p.Get(p.Agree(authorizationURL)), http.StatusOK, "You are signed in")
	p.Crash()
	p.Expect("poll", p.Poll(readKey), http.StatusOK, testkit.TokenResponse)
	if code := p.Terminate(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	p.Start()
}

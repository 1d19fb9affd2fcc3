package hooks

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/testkit"
)

// sealedTokens makes the plugin's tokens sealed.
func sealedTokens(c *Config) {
	c.EncryptionKey, c.Plugin.Tokens = testEncryptionKey, plugins.TokensSealed
}

// tokensIn reads the tokens of an answer.
func tokensIn(t *testing.T, got testkit.Answer) (access, refresh string) {
	t.Helper()
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(got.Body), &tokens); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	return tokens.Access, tokens.Refresh
}

// A plugin signs in, calls the API, refreshes and signs out, and never holds a token of the provider.
func TestSealedTokens(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, func(c *Config) {
		sealedTokens(c)
		c.Plugin.RevokeEndpoint = c.Plugin.TokenEndpoint + "/revoke"
	})
	_, readKey := s.Login()
	polled := s.Poll(readKey)
	access, refresh := tokensIn(t, polled)
	want := strings.NewReplacer(`"AT/1+x=="`, `"`+access+`"`, `"RT-1"`, `"`+refresh+`"`).
		Replace(testkit.TokenResponse)
	s.Expect("poll", polled, http.StatusOK, want)
	for _, token := range []string{"AT/1+x==", "RT-1"} {
		if strings.Contains(polled.Body, token) {
			t.Errorf("the plugin got %s", token)
		}
	}
	got := s.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin,
		"Authorization: Bearer "+access)
	var echo testkit.Echo
	if err := json.Unmarshal([]byte(got.Body), &echo); err != nil {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := echo.Header.Get("Authorization"); got != "Bearer AT/1+x==" {
		t.Errorf("the API got %q", got)
	}
	var asked []string
	s.Provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Form.Get("refresh_token"))
		_, _ = io.WriteString(w, `{"access_token":"AT-2","refresh_token":"RT-2"}`)
	})
	renewed := s.Post("/refresh?code=" + refresh)
	newAccess, newRefresh := tokensIn(t, renewed)
	if strings.Contains(renewed.Body, "AT-2") || strings.Contains(renewed.Body, "RT-2") {
		t.Errorf("the plugin got %s", renewed.Body)
	}
	// The second window of the plugin gets the answer to the rotated token from memory.
	s.Post("/refresh?code=" + refresh)
	if strings.Join(asked, " ") != "RT-1" {
		t.Errorf("the provider was sent %q", asked)
	}
	s.Expect("revoke", s.Post("/revoke?token="+newRefresh), http.StatusOK, "{}")
	s.Expect("revoke", s.Post("/revoke?token="+newAccess), http.StatusOK, "{}")
	if revoked := strings.Join(s.Provider.Revoked(), " "); revoked != "RT-2 AT-2" {
		t.Errorf("the provider was asked to revoke %q", revoked)
	}
}

// What does not open is refused where it is sent, and goes nowhere.
func TestSealedTokensOnly(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	root := serveAPI(t, api, func(c *Config) {
		sealedTokens(c)
		c.Plugin.RevokeEndpoint = c.Plugin.TokenEndpoint + "/revoke"
	})
	other := root.add("other", func(fields map[string]any) {
		fields["apiHosts"], fields["tokens"] = api.Host, "sealed"
	})
	_, readKey := root.Login()
	access, refresh := tokensIn(t, root.Poll(readKey))
	_, readKey = other.Login()
	otherAccess, otherRefresh := tokensIn(t, other.Poll(readKey))
	exchanges := root.Provider.Exchanges()
	for name, token := range map[string]string{
		"plain": "AT/1+x==", "junk": "sealed.junk", "another plugin's": otherAccess,
		"a refresh token": refresh,
		"cut":             access[:len(access)-4], "in vain": "",
	} {
		got := root.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin,
			"Authorization: Bearer "+token)
		root.ExpectError(name, got, http.StatusUnauthorized, "invalid_token")
	}
	for name, token := range map[string]string{
		"plain": "RT-1", "junk": "sealed.junk", "another plugin's": otherRefresh, "an access token": access,
	} {
		got := root.Post("/refresh?code=" + url.QueryEscape(token))
		if got.Status != http.StatusBadRequest || !strings.HasPrefix(got.Body, "invalid_grant") {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
		root.Expect(name, root.Post("/revoke?token="+url.QueryEscape(token)), http.StatusOK, "{}")
	}
	if n := root.Provider.Exchanges(); n != exchanges || len(api.Requests()) > 0 {
		t.Errorf("the provider was asked %d times more, and the API %d times", n-exchanges,
			len(api.Requests()))
	}
	if revoked := strings.Join(root.Provider.Revoked(), " "); revoked != "AT/1+x==" {
		t.Errorf("the provider was asked to revoke %q", revoked)
	}
}

// A change of the key signs nobody out while the old one is known, and everybody once it is not.
func TestSealedTokensOverAChangeOfTheKey(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	process := testkit.NewProcess(t)
	base := append(process.Env, "API_HOSTS="+api.Host, "TOKENS=sealed", "PLUGIN_ID=abc123")
	start := func(variables ...string) {
		process.Env = append(append([]string(nil), base...), variables...)
		process.Start()
	}
	const newKey = "fedcba9876543210fedcba9876543210"
	start("ENCRYPTION_KEY=" + testEncryptionKey)
	_, readKey := process.Login()
	access, refresh := tokensIn(t, process.Poll(readKey))
	call := func(token string) int {
		return process.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin,
			"Authorization: Bearer "+token).Status
	}
	if got := call(access); got != http.StatusOK {
		t.Fatalf("%d", got)
	}
	process.Terminate()
	start("ENCRYPTION_KEY="+newKey, "OLD_ENCRYPTION_KEY="+testEncryptionKey)
	if got := call(access); got != http.StatusOK {
		t.Errorf("with the old key beside it: %d", got)
	}
	newAccess, _ := tokensIn(t, process.Post("/refresh?code="+refresh))
	process.Terminate()
	start("ENCRYPTION_KEY=" + newKey)
	if got := call(access); got != http.StatusUnauthorized {
		t.Errorf("without the old key: %d", got)
	}
	if got := call(newAccess); got != http.StatusOK {
		t.Errorf("with a token of the new key: %d", got)
	}
	if got := process.Post("/refresh?code=" + refresh); !strings.HasPrefix(got.Body, "invalid_grant") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

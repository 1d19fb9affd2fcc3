package hooks

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// What an admin enters in the dashboard reaches a provider that refuses every deviation: at the login, with
// the code, with a refresh token and with a revocation.
func TestSettingsOfTheDashboard(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) { c.EncryptionKey = testEncryptionKey })
	for name, change := range map[string]map[string]any{
		"public":        {"tokenAuth": "none", "clientSecret": ""},
		"public-json":   {"tokenAuth": "none", "clientSecret": "", "tokenFormat": "json"},
		"json":          {"tokenFormat": "json", "tokenParams": "resource=b&resource=a"},
		"json-basic":    {"tokenFormat": "json", "tokenAuth": "basic"},
		"token-params":  {"tokenParams": "resource=b&resource=a&audience=https%3A%2F%2Fa.example"},
		"redirect-name": {"redirectName": "Name-App-PRD-abc"},
		"delete":        {"revokeKind": "delete"},
		"bearer":        {"revokeKind": "bearer"},
		"login-params":  {"loginParams": "prompt,scope"},
	} {
		t.Run(name, func(t *testing.T) {
			s := root.in(t).add(name, func(fields map[string]any) {
				maps.Copy(fields, change)
				fields["revokeEndpoint"] = fields["tokenEndpoint"].(string) + "/revoke"
				fields["allowedOrigins"] = "app://obsidian.md"
			})
			page, readKey := s.Login()
			s.ExpectPage("login", page, http.StatusOK, "You are signed in")
			s.expectTokens(readKey)
			s.Expect("refresh", s.Post("/refresh?code=RT-2"), http.StatusOK, testkit.TokenResponse)
			s.Expect("revoke", s.Post("/revoke?token=AT-2"), http.StatusOK, "{}")
			got := s.Request(http.MethodPost, "/authorize", "", "Origin: app://obsidian.md")
			if allowed := got.Header.Get("Access-Control-Allow-Origin"); allowed != "app://obsidian.md" {
				t.Errorf("the app may not call: %q", allowed)
			}
			s.ParseLogin(got)
		})
	}
}

// The form says at each field what is wrong with it.
func TestSettingsRefusedByTheForm(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.EncryptionKey = testEncryptionKey })
	for field, value := range map[string]string{
		"tokenFormat": "xml", "tokenParams": "code=x", "loginParams": "state", "redirectParams": "code",
		"redirectName": "a b", "apiHosts": "a/b", "tokens": "x",
		"revokeKind": "put", "tokenAuth": "mtls", "allowedOrigins": "app://x/path",
	} {
		t.Run(field, func(t *testing.T) {
			got := s.in(t).CreatePlugin(map[string]any{
				"slug": "one", "clientId": "id", "clientSecret": "secret", field: value,
				"authorizeEndpoint": "https://p.example/a", "tokenEndpoint": "https://p.example/t",
			})
			if got.Status != http.StatusBadRequest || !strings.Contains(got.Body, `"data":{"`+field+`":{`) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
		})
	}
}

package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

const (
	firstKey  = "0123456789abcdef0123456789abcdef"
	secondKey = "fedcba9876543210fedcba9876543210"
)

// sealedPlugin returns a plugin with sealed tokens.
func sealedPlugin(edit func(*Plugin), defaults Defaults) *Plugin {
	plugin := Plugin{
		RecordID: "record1", Slug: "one", Tokens: TokensSealed,
		Client: oauth.Client{ClientID: "client", APIHosts: []string{"api.example"}},
	}
	if edit != nil {
		edit(&plugin)
	}
	plugin = plugin.Complete(defaults)
	return &plugin
}

// sealed returns the tokens of a response that has been sealed.
func sealed(t *testing.T, p *Plugin, response string) (access, refresh string) {
	t.Helper()
	got, err := p.SealTokens([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(got, &tokens); err != nil {
		t.Fatal(err)
	}
	return tokens.Access, tokens.Refresh
}

func TestSealedTokensOpen(t *testing.T) {
	t.Parallel()
	p := sealedPlugin(nil, Defaults{EncryptionKey: firstKey})
	for written, token := range map[string]string{
		`"AT/1+x=="`: "AT/1+x==", `"a\/\u0062"`: "a/b", `12345678901234567890`: "12345678901234567890",
		`"` + strings.Repeat("x", 20_000) + `"`: strings.Repeat("x", 20_000), `"ü"`: "ü",
	} {
		access, refresh := sealed(t, p, `{"access_token":`+written+`,"refresh_token":`+written+`}`)
		for kind, value := range map[oauth.TokenKind]string{
			oauth.AccessToken: access, oauth.RefreshToken: refresh,
		} {
			if got, err := p.OpenToken(kind, value); err != nil || got != token {
				t.Errorf("%s %s opens as %.50q, %v", kind, written, got, err)
			}
			if strings.Contains(value, token) || !strings.HasPrefix(value, "sealed.") {
				t.Errorf("%s is sealed as %s", written, value)
			}
		}
	}
}

// A token opens for the plugin and the client that it was sealed for, as what it is, and under a key that is
// still known.
func TestSealedTokensStayClosed(t *testing.T) {
	t.Parallel()
	p := sealedPlugin(nil, Defaults{EncryptionKey: firstKey})
	access, refresh := sealed(t, p, `{"access_token":"AT","refresh_token":"RT"}`)
	again, _ := sealed(t, p, `{"access_token":"AT","refresh_token":"RT"}`)
	if again == access {
		t.Error("the same token is sealed alike twice")
	}
	for _, test := range []struct {
		name  string
		p     *Plugin
		kind  oauth.TokenKind
		token string
		opens bool
	}{
		{name: "itself", p: p, token: access, opens: true},
		{
			name: "the old key", token: access, opens: true,
			p: sealedPlugin(nil, Defaults{EncryptionKey: secondKey, OldEncryptionKey: firstKey}),
		},
		{name: "another key", token: access, p: sealedPlugin(nil, Defaults{EncryptionKey: secondKey})},
		{name: "no key", token: access, p: sealedPlugin(nil, Defaults{})},
		{name: "a refresh token as an access token", p: p, token: refresh},
		{name: "an access token as a refresh token", p: p, kind: oauth.RefreshToken, token: access},
		{
			name: "another record", token: access,
			p: sealedPlugin(func(p *Plugin) { p.RecordID = "record2" }, Defaults{EncryptionKey: firstKey}),
		},
		{
			name: "another slug", token: access,
			p: sealedPlugin(func(p *Plugin) { p.Slug = "two" }, Defaults{EncryptionKey: firstKey}),
		},
		{
			name: "another client", token: access,
			p: sealedPlugin(func(p *Plugin) { p.ClientID = "two" }, Defaults{EncryptionKey: firstKey}),
		},
		{
			name: "a new endpoint of the preset", token: access, opens: true,
			p: sealedPlugin(func(p *Plugin) { p.TokenEndpoint = "https://new.example/token" },
				Defaults{EncryptionKey: firstKey}),
		},
		{name: "plain", p: p, token: "AT"},
		{name: "blank", p: p},
		{name: "only the prefix", p: p, token: "sealed."},
		{name: "cut", p: p, token: access[:len(access)-2]},
		{name: "longer", p: p, token: access + "AA"},
		{name: "another alphabet", p: p, token: access + "="},
		{name: "changed", p: p, token: access[:20] + "AAAA" + access[24:]},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			kind := test.kind
			if kind == "" {
				kind = oauth.AccessToken
			}
			_, err := test.p.OpenToken(kind, test.token)
			if (err == nil) != test.opens || (err != nil && !errors.Is(err, ErrNotSealed)) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Unsealing what was sealed gives the provider's bytes back.
func FuzzSealTokens(f *testing.F) {
	p := sealedPlugin(nil, Defaults{EncryptionKey: firstKey})
	for _, seed := range []string{
		`{"access_token":"a\/b","refresh_token":"\u00fc","n":1.50}`, `{"access_token":1e3}`,
		`{"authed_user":{"access_token":"x"},"access_token":["y",{"refresh_token":"z"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		if bytes.Contains(response, []byte(sealedPrefix)) {
			return
		}
		sealed, err := p.SealTokens(response)
		if err != nil {
			return
		}
		opened := sealed
		for {
			_, rest, found := bytes.Cut(opened, []byte(`"`+sealedPrefix))
			if !found {
				break
			}
			token, _, _ := bytes.Cut(rest, []byte(`"`))
			value := unsealed(t, p, sealedPrefix+string(token))
			opened = bytes.Replace(opened, []byte(`"`+sealedPrefix+string(token)+`"`), value, 1)
		}
		if !bytes.Equal(opened, response) {
			t.Errorf("%q became %q", response, opened)
		}
	})
}

// unsealed returns the value of a sealed token as the provider has written it.
func unsealed(t *testing.T, p *Plugin, token string) []byte {
	for _, kind := range []oauth.TokenKind{oauth.AccessToken, oauth.RefreshToken} {
		if value, err := p.openValue(kind, token); err == nil {
			return value
		}
	}
	t.Fatalf("%s does not open", token)
	return nil
}

package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// A client's token parameters go with a code and with a refresh token, beside the preset's. What Shopify
// wants with a code only stays there.
func TestTokenParams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		provider, own      string
		withBoth, withCode string
	}{
		"own":               {own: "resource=b&resource=a", withBoth: "resource=b&resource=a"},
		"of a preset":       {provider: "shopify", withCode: "expiring=1"},
		"one more":          {provider: "shopify", own: "a=b", withBoth: "a=b", withCode: "expiring=1"},
		"another value":     {provider: "shopify", own: "expiring=0", withBoth: "expiring=0"},
		"left out":          {provider: "shopify", own: "expiring="},
		"blank, not preset": {provider: "github", own: "a=", withBoth: "a="},
		"malformed":         {provider: "shopify", own: "a=%zz", withBoth: "a=%zz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{Provider: test.provider, TokenParams: test.own}.Complete()
			if client.TokenParams != test.withBoth || client.CodeParams != test.withCode {
				t.Errorf("with both %q, with a code %q", client.TokenParams, client.CodeParams)
			}
		})
	}
}

// What a client lists itself takes the place of the preset's list.
func TestListsOfPresets(t *testing.T) {
	t.Parallel()
	preset := Preset{LoginParams: []string{"prompt"}, RedirectParams: []string{"realmId"}}
	for name, test := range map[string]struct{ own, want []string }{
		"the preset's": {want: []string{"prompt", "realmId"}},
		"its own":      {own: []string{"x"}, want: []string{"x", "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{LoginParams: test.own, RedirectParams: test.own}.withPreset(preset)
			got := slices.Concat(client.LoginParams, client.RedirectParams)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The redirect's parameters stand right behind the opening brace; no other byte changes.
func TestWithRedirectParams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tokens, want string
		names        []string // blank: realmId
	}{
		"object":       {tokens: `{"a":1}`, want: `{"realmId":"123","a":1}`},
		"empty object": {tokens: " { \n} ", want: " {\"realmId\":\"123\" \n} "},
		"byte order mark": {
			tokens: "\ufeff\n{ \"a\" : 1.50 }\n",
			want:   "\ufeff\n{\"realmId\":\"123\", \"a\" : 1.50 }\n",
		},
		"member of a name": {tokens: `{"realmId":null}`, want: `{"realmId":null}`},
		"escaped name":     {tokens: `{"realm\u0049d":1}`, want: `{"realm\u0049d":1}`},
		"nested name": {
			tokens: `{"a":{"realmId":"{"}}`, want: `{"realmId":"123","a":{"realmId":"{"}}`,
		},
		"order of the setting": {
			tokens: `{"a":1}`, names: []string{"quoted", "realmId", "blank", "missing"},
			want: `{"quoted":"a\"\\\nb/<é","realmId":"123","a":1}`,
		},
		"not UTF-8": {
			tokens: `{"a":1}`, names: []string{"binary"},
			want: "{\"binary\":\"a\ufffd\",\"a\":1}",
		},
		"names itself":  {tokens: `{"a":1}`, names: []string{"code"}, want: `{"code":"secret","a":1}`},
		"no parameter":  {tokens: `{"a":1}`, names: []string{"missing"}, want: `{"a":1}`},
		"no object":     {tokens: `["{"]`, want: `["{"]`},
		"no JSON":       {tokens: `{"a"`, want: `{"a"`},
		"nothing":       {},
		"null":          {tokens: "null", want: "null"},
		"invalid bytes": {tokens: "{\"a\":\"\xff\"}", want: "{\"realmId\":\"123\",\"a\":\"\xff\"}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{RedirectParams: test.names}
			if test.names == nil {
				client.RedirectParams = []string{"realmId"}
			}
			tokens := []byte(test.tokens)
			got := client.WithRedirectParams(tokens, map[string]string{
				"realmId": "123", "quoted": "a\"\\\nb/<é", "blank": "", "binary": "a\xff", "code": "secret",
			})
			if string(got) != test.want || string(tokens) != test.tokens {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// The names that must survive a confirmation are those of both uses.
func TestRedirectParamNames(t *testing.T) {
	t.Parallel()
	client := Client{CodeRedirectParams: []string{"scope", "x"}, RedirectParams: []string{"realmId", "x"}}
	if got := fmt.Sprint(client.RedirectParamNames()); got != "[realmId scope x]" {
		t.Errorf("got %s", got)
	}
}

// Valid JSON stays valid, and without the members that were added it has the bytes that it had.
func FuzzRedirectParams(f *testing.F) {
	f.Add([]byte(`{"a":1}`), "realmId", "123", "scope", "a b")
	f.Add([]byte("\ufeff {\n}"), "", "x", "realmId", "\xff\"")
	f.Add([]byte(`{"a":{"realmId":"{"},"a":[]}`), "realmId", "", "a", "\x00\u2028")
	f.Fuzz(func(t *testing.T, tokens []byte, name, value, name2, value2 string) {
		client := Client{RedirectParams: []string{name, name2}}
		if name == name2 || len(client.validateNames()) > 0 {
			return
		}
		before, isObject := jsonObject(tokens)
		got := client.WithRedirectParams(tokens, map[string]string{name: value, name2: value2})
		if !isObject {
			if !bytes.Equal(got, tokens) {
				t.Fatalf("%q becomes %q", tokens, got)
			}
			return
		}
		after, isObject := jsonObject(got)
		if !isObject {
			t.Fatalf("%q is no object any more: %q", tokens, got)
		}
		removed := maps.Clone(after)
		var added [][]byte
		for _, name := range client.RedirectParams {
			text, isNew := after[name]
			if _, existed := before[name]; existed || !isNew {
				continue
			}
			delete(removed, name)
			member, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			added = append(added, slices.Concat(member, []byte(":"), text))
		}
		if len(removed) != len(before) {
			t.Fatalf("%q has %d members, not %d", got, len(after), len(before))
		}
		inserted := bytes.Join(added, []byte(","))
		if len(inserted) > 0 && len(before) > 0 {
			inserted = append(inserted, ',')
		}
		opening := bytes.IndexByte(tokens, '{') + 1
		rest, isThere := bytes.CutPrefix(got[opening:], inserted)
		if !isThere || !bytes.Equal(slices.Concat(got[:opening], rest), tokens) {
			t.Fatalf("%q becomes %q, which is more than %q", tokens, got, inserted)
		}
	})
}

func (c *Client) validateNames() (errs FieldErrors) {
	c.validateRedirectParams(&errs)
	return errs
}

var tooLong = strings.Repeat("a", 1025)

// Of what a plugin sends with the start of a login, only what the setting names is sent on, and a scope only
// if it is a part of the client's.
func TestCheckLoginParams(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		provider, scope string // the client's
		asked           string // the scope of the request
		params          map[string]string
		want            string // the code; blank: it is good
	}{
		"nothing":    {},
		"named":      {params: map[string]string{"prompt": "x", "login_hint": "a@b.example"}},
		"not named":  {params: map[string]string{"hd": "x"}, want: "invalid_request"},
		"longest":    {params: map[string]string{"prompt": strings.Repeat("a", 1024)}},
		"too long":   {params: map[string]string{"prompt": tooLong}, want: "invalid_request"},
		"line break": {params: map[string]string{"prompt": "a\nb"}, want: "invalid_request"},
		"not UTF-8":  {params: map[string]string{"prompt": "a\xff"}, want: "invalid_request"},

		"part":                  {scope: "a b c", asked: "c a"},
		"all":                   {scope: "a b c", asked: "a b c"},
		"more":                  {scope: "a b", asked: "a d", want: "invalid_scope"},
		"a beginning":           {scope: "read:all", asked: "read", want: "invalid_scope"},
		"spaces only":           {scope: "a", asked: "  ", want: "invalid_scope"},
		"in commas":             {scope: "a,b", asked: "b,a"},
		"space in commas":       {scope: "a,b", asked: "a b", want: "invalid_scope"},
		"comma in spaces":       {scope: "a b", asked: "a,b", want: "invalid_scope"},
		"another kind of space": {scope: "a b", asked: "a\u00a0b", want: "invalid_scope"},
		"commas and spaces":     {provider: "slack", scope: "a, b", asked: "b, a"},
		"preset's separator":    {provider: "slack", scope: "a,b", asked: "b"},
		"preset's, with more":   {provider: "slack", scope: "a,b", asked: "b d", want: "invalid_scope"},
		"spaces of a preset":    {provider: "google", scope: "a,b c", asked: "a", want: "invalid_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{
				Provider: test.provider, Scope: test.scope,
				LoginParams: []string{"prompt", "login_hint", "scope"},
			}
			params := test.params
			if test.asked != "" {
				params = map[string]string{"scope": test.asked}
			}
			err := client.CheckLoginParams(params)
			got, isOurs := errors.AsType[*LoginParamError](err)
			if (err != nil) != (test.want != "") || (isOurs && got.Code != test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if err == nil {
				return
			}
			for _, value := range params {
				if len(value) > 1 && strings.Contains(err.Error(), value) {
					t.Errorf("it quotes the value: %v", err)
				}
			}
		})
	}
}

// Parameters that came with the start of a login take the place of the client's own.
func TestLoginParamsInURL(t *testing.T) {
	t.Parallel()
	client := validClient(func(c *Client) {
		c.AuthorizeParams, c.Scope = "prompt=consent&access_type=offline&login%5Fhint=x", "a b"
		c.LoginParams = []string{"prompt", "login_hint", "scope", "hd"}
	})
	params := map[string]string{"prompt": "select account", "login_hint": "a+b@c.example", "scope": "b"}
	if err := client.CheckLoginParams(params); err != nil {
		t.Fatal(err)
	}
	got := client.AuthorizationURL(AuthorizationRequest{State: "s", Verifier: "v", Params: params})
	const start = "https://p.example/authorize?access_type=offline&prompt=select%20account" +
		"&login_hint=a%2Bb%40c.example&client_id=id&"
	if !strings.HasPrefix(got, start) || !strings.Contains(got, "&scope=b&") {
		t.Errorf("got %s", got)
	}
	without := client.AuthorizationURL(AuthorizationRequest{State: "s", Verifier: "v"})
	if !strings.Contains(without, "?prompt=consent&") || !strings.Contains(without, "&scope=a%20b&") {
		t.Errorf("without them, it is %s", without)
	}
}

// What a preset knows of scopes is said of its own clients, and of those that have only its endpoints.
func TestFixOfScope(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		client Client
		want   string
	}{
		"spaces": {client: Client{Provider: "google", Scope: "openid email"}},
		"commas instead": {
			client: Client{Provider: "google", Scope: "openid,email"},
			want:   "must have spaces between the scopes, not commas, for Google",
		},
		"commas and spaces": {
			client: Client{Provider: "google", Scope: "openid, email"},
			want:   "must have spaces between the scopes, not commas, for Google",
		},
		"only the endpoint": {
			client: Client{TokenEndpoint: "https://oauth2.googleapis.com/token", Scope: "a,b"},
			want:   "must have spaces between the scopes, not commas, for Google",
		},
		"one":               {client: Client{Provider: "slack", Scope: "a"}},
		"commas":            {client: Client{Provider: "slack", Scope: "a,b"}},
		"commas, and space": {client: Client{Provider: "slack", Scope: "a, b"}},
		"spaces instead": {
			client: Client{Provider: "slack", Scope: "a b"},
			want:   "must have commas between the scopes, not spaces, for Slack",
		},
		"no separator known": {client: Client{Provider: "notion", Scope: "a,b c"}},
		"no preset":          {client: Client{Scope: "a,b"}},
		"missing": {
			client: Client{Provider: "google"},
			want:   "must be set: Google refuses a login that asks for no scope",
		},
		"missing, not needed": {client: Client{Provider: "notion"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := test.client.Complete()
			if got := client.FixOfScope(); got != test.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

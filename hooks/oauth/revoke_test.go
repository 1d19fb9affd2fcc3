package oauth_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

var revokeKinds = []oauth.RevokeKind{
	oauth.RevokeForm, oauth.RevokeFormWithoutClient, oauth.RevokeBearer, oauth.RevokeJSON,
	oauth.RevokeJSONWithClient, oauth.RevokeDelete, oauth.RevokeGitHub,
}

// withRevoke gives the client a revocation endpoint of a kind at its provider.
func withRevoke(kind oauth.RevokeKind) func(*oauth.Client) {
	return func(c *oauth.Client) {
		c.RevokeEndpoint = strings.TrimSuffix(c.TokenEndpoint, "/token") + "/revoke"
		if kind == oauth.RevokeGitHub {
			c.RevokeEndpoint = strings.TrimSuffix(c.TokenEndpoint, "/token") + "/apps/{client_id}/grant"
		}
		c.RevokeKind = kind
	}
}

// The token reaches the provider in each of the ways that there are.
func TestRevoke(t *testing.T) {
	t.Parallel()
	type way struct {
		kind      oauth.RevokeKind
		tokenAuth oauth.TokenAuth
	}
	ways := []way{
		{},
		{kind: oauth.RevokeForm, tokenAuth: oauth.TokenAuthBasic},
		{kind: oauth.RevokeForm, tokenAuth: oauth.TokenAuthBasicSecret},
		{kind: oauth.RevokeForm, tokenAuth: oauth.TokenAuthNone},
		{kind: oauth.RevokeJSON, tokenAuth: oauth.TokenAuthNone},
		{kind: oauth.RevokeGitHub, tokenAuth: oauth.TokenAuthNone},
	}
	for _, kind := range revokeKinds {
		ways = append(ways, way{kind: kind, tokenAuth: oauth.TokenAuthBody})
	}
	for _, way := range ways {
		t.Run(string(way.kind)+" "+string(way.tokenAuth), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *oauth.Client) {
				withRevoke(way.kind)(c)
				c.TokenAuth = way.tokenAuth
			})
			for _, token := range []oauth.Token{
				{Value: "hinted/b", TypeHint: "refresh_token"}, {Value: "50%+x=="}, {Value: "c"},
			} {
				if err := f.endpoint.Revoke(t.Context(), &f.client, token); err != nil {
					t.Errorf("%s: %v", token.Value, err)
				}
			}
			if got := f.Provider.Revoked(); !slices.Equal(got, []string{"hinted/b", "50%+x==", "c"}) {
				t.Errorf("the provider was sent %q", got)
			}
		})
	}
}

// An unknown kind is refused, and the provider is not asked.
func TestRevokeOfUnknownKind(t *testing.T) {
	t.Parallel()
	for _, kind := range []oauth.RevokeKind{"RFC7009", "form", "github "} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, withRevoke(kind))
			err := f.endpoint.Revoke(t.Context(), &f.client, oauth.Token{Value: "HIDDEN"})
			if err == nil || !strings.Contains(err.Error(), string(kind)) {
				t.Errorf("got %v", err)
			}
			expectNoSecret(t, err)
			if got := f.Provider.Revoked(); len(got) > 0 {
				t.Errorf("the provider was sent %q", got)
			}
		})
	}
}

// A token that the provider does not know is as good as revoked (RFC 7009 section 2.2); everything else means
// that the token was not revoked. To add an answer, add a row.
func TestRevocationAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   oauth.RevokeKind // blank: RevokeForm
		status int
		body   string
		want   wanted // zero: it is revoked
	}{
		"empty":      {status: 200},
		"no content": {status: 204},
		"HTML":       {status: 200, body: "<html>"},
		"ok":         {kind: oauth.RevokeBearer, status: 200, body: `{"ok":true,"revoked":true}`},

		"unknown token": {status: 400, body: `{"error":"invalid_token"}`},
		"used token":    {status: 400, body: `{"error":"invalid_grant"}`},
		"expired token": {status: 400, body: `{"error":"token_expired"}`},
		"Google, revoked before": {
			kind: oauth.RevokeFormWithoutClient, status: 400,
			body: `{"error":"invalid_token","error_description":"Token expired or revoked"}`,
		},
		"Slack, revoked before": {
			kind: oauth.RevokeBearer, status: 200, body: `{"ok":false,"error":"token_revoked"}`,
		},
		"Slack, unknown": {
			kind: oauth.RevokeBearer, status: 200, body: `{"ok":false,"error":"invalid_auth"}`,
		},
		"Dropbox, unknown": {
			kind: oauth.RevokeBearer, status: 401, body: `{"error_summary":"expired_access_token/"}`,
		},
		"GitHub, unknown":   {kind: oauth.RevokeGitHub, status: 404, body: `{"message":"Not Found"}`},
		"GitHub, malformed": {kind: oauth.RevokeGitHub, status: 422, body: `{"message":"Validation Failed"}`},

		"bad request":   {kind: oauth.RevokeBearer, status: 400, want: notRevoked("server_error", 400)},
		"not found":     {status: 404, want: notRevoked("server_error", 404)},
		"unprocessable": {status: 422, want: notRevoked("server_error", 422)},
		"no reason":     {status: 401, want: notRevoked("server_error", 401)},
		"reason in JSON": {
			status: 400, body: `{"error":"temporarily_unavailable"}`,
			want: notRevoked("temporarily_unavailable", 400),
		},
		"the other token, please": {
			status: 400, body: `{"error":"unsupported_token_type","error_description":"HIDDEN"}`,
			want: wanted{code: "unsupported_token_type", status: 400, means: oauth.OtherTokenType},
		},
		"wrong secret": {
			status: 401, body: `{"error":"invalid_client"}`,
			want: wanted{code: "invalid_client", status: 401, means: oauth.InvalidClient},
		},
		"not allowed": {
			status: 403, body: `{"error":"unauthorized_client"}`,
			want: wanted{code: "unauthorized_client", status: 403, means: oauth.InvalidClient},
		},
		"GitHub, wrong secret": {
			kind: oauth.RevokeGitHub, status: 401, body: `{"message":"Bad credentials"}`,
			want: notRevoked("server_error", 401),
		},
		"Slack, fault": {
			kind: oauth.RevokeBearer, status: 200, body: `{"ok":false,"error":"fatal_error"}`,
			want: notRevoked("fatal_error", 502),
		},
		"redirect":       {status: 302, want: notRevoked("server_error", 502)},
		"status 600":     {status: 600, want: notRevoked("server_error", 502)},
		"fault":          {status: 500, body: "HIDDEN", want: notRevoked("server_error", 500)},
		"too many":       {status: 429, want: notRevoked("server_error", 429)},
		"reason in code": {status: 400, body: `{"error":"HIDDEN"}`, want: notRevoked("server_error", 400)},
		"busy": {
			status: 503, body: `{"error":"temporarily_unavailable","error_description":"HIDDEN"}`,
			want: notRevoked("temporarily_unavailable", 503),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, withRevoke(test.kind))
			f.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			err := f.endpoint.Revoke(t.Context(), &f.client, oauth.Token{Value: "the-token"})
			expectNoSecret(t, err, "the-token")
			if test.want == (wanted{}) {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			test.want.expect(t, err)
		})
	}
}

// Whoever sends the token of the wrong type is told to send the other one (RFC 7009 section 2.2.1).
func TestOtherTokenTypeIsExplained(t *testing.T) {
	t.Parallel()
	said := oauth.OtherTokenType.ForAuthor(nil)
	if !strings.Contains(said, "Send the other one: the refresh token") {
		t.Errorf("it says %q", said)
	}
	if oauth.MeaningOf("unsupported_token_type") != oauth.OtherTokenType {
		t.Error("its code does not say so")
	}
}

func notRevoked(code string, status int) wanted {
	return wanted{code: code, status: status, means: oauth.NotRevoked}
}

// A token is not revoked either if the provider does not answer in time.
func TestRevokeTooSlow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withRevoke(oauth.RevokeForm))
	f.endpoint.HTTP = oauth.NewHTTPClient(shortTimeout)
	f.Provider.Answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	err := f.endpoint.Revoke(t.Context(), &f.client, oauth.Token{Value: "HIDDEN"})
	got, ok := errors.AsType[*oauth.Error](err)
	if !ok || got.Meaning != oauth.TimedOut || got.Code != "temporarily_unavailable" {
		t.Errorf("got %#v", err)
	}
	expectNoSecret(t, err)
}

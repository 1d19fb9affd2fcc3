package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// recorded is what a provider answered, and how it must be read. To add an answer, add a row to one of the
// tables below. HIDDEN stands for what no error may quote: a code, a token, or the provider's own words.
type recorded struct {
	status int    // zero: 200
	body   string // as it was sent

	tokens string  // what the plugin gets; blank: an error
	code   string  // of the error
	means  Meaning // of the error

	errorStatus int  // Error.Status; zero: that of the answer
	malformed   bool // Error.Malformed
}

const goodTokens = `{ "expires_in": 3599.50,"access_token":"AT/1+x==", "z":{"b":1,"a":[]} }` + "\n"

// tokenResponses are answers with tokens. What is JSON reaches the plugin byte for byte, under whatever
// content type.
var tokenResponses = map[string]recorded{
	"plain":           {body: goodTokens, tokens: goodTokens},
	"created (201)":   {status: 201, body: goodTokens, tokens: goodTokens},
	"nested twice":    same(`{"body":[{"x":[[]]},{"access_token":"x"}]}`),
	"ID token only":   same(`{"id_token":"x"}`),
	"Slack, nested":   same(`{"ok":true,"authed_user":{"id":"U1","access_token":"xoxp-1"}}`),
	"fractional":      same(`{"access_token":"x","expires_in":3599.9}`),
	"error null":      same(`{"access_token":"x","error":null,"ok":null}`),
	"error blank":     same(`{"access_token":"x","error":""}`),
	"error false":     same(`{"error":false,"access_token":"x"}`),
	"error 0":         same(`{"error":0,"access_token":"x"}`),
	"error []":        same(`{"error":[ ],"access_token":"x"}`),
	"error {}":        same(`{"error": { },"access_token":"x"}`),
	"error below":     same(`{"access_token":"x","user":{"error":"bad","ok":false}}`),
	"another code":    same(`{"access_token":"x","errcode":0}`),
	"ok is no bool":   same(`{"access_token":"x","ok":"false"}`),
	"byte order mark": same("\ufeff{\"access_token\":\"x\"}"),
	"duplicate name":  same(`{"access_token":"x","scope":"a","scope":"b"}`),
	"not UTF-8":       same("{\"access_token\":\"x\",\"name\":\"M\xfcller\"}"),
	"dead words":      same(`{"access_token":"x","scope":"refresh token is invalid"}`),
	"exactly 1 MB":    same(`{"access_token":"` + strings.Repeat("x", maxAnswer-19) + `"}`),
	"GitHub, form": {
		body:   "access_token=gho_1&scope=repo%2Cgist&token_type=bearer",
		tokens: `{"access_token":"gho_1","scope":"repo,gist","token_type":"bearer"}`,
	},
	"form with lifetimes": {
		body:   "access_token=1&expires_in=28800&refresh_token_expires_in=15811200&X-Own=a\n",
		tokens: `{"X-Own":"a","access_token":"1","expires_in":28800,"refresh_token_expires_in":15811200}`,
	},
	"form, ID token only": {body: "id_token=x", tokens: `{"id_token":"x"}`},
	"form, odd lifetime": {
		body:   "access_token=1&expires_in=never",
		tokens: `{"access_token":"1","expires_in":"never"}`,
	},
}

// same is an answer that comes back unchanged.
func same(body string) recorded { return recorded{body: body, tokens: body} }

// tokenErrors are answers that refuse.
var tokenErrors = map[string]recorded{
	"code is old": {
		status: 400, body: `{"error":"invalid_grant","error_description":"code HIDDEN is old"}`,
		code: "invalid_grant", means: InvalidGrant,
	},
	"revoked token": {
		status: 400, body: `{"error":"invalid_grant","error_description":"HIDDEN is revoked"}`,
		code: "invalid_grant", means: InvalidGrant,
	},
	"wrong secret": {
		status: 401, body: `{"error":"invalid_client"}`,
		code: "invalid_client", means: InvalidClient,
	},
	"wrong secret, a provider's code": {
		status: 400, body: `{"error":"incorrect_client_credentials"}`,
		code: "incorrect_client_credentials", means: InvalidClient,
	},
	"wrong redirect URI": {
		status: 400, body: `{"error":"redirect_uri_mismatch"}`,
		code: "redirect_uri_mismatch", means: InvalidRedirectURI,
	},
	"wrong scope": {
		status: 400, body: `{"error":"invalid_scope"}`, code: "invalid_scope", means: InvalidScope,
	},
	"wrong request": {
		status: 400, body: `{"error":"invalid_request"}`, code: "invalid_request", means: InvalidRequest,
	},
	"unknown code": {
		status: 400, body: `{"error":"some_new_error"}`, code: "some_new_error", means: Refused,
	},
	"GitHub, under 200": {
		body: `{"error":"bad_verification_code","error_description":"HIDDEN"}`,
		code: "bad_verification_code", means: InvalidGrant, errorStatus: 400,
	},
	"GitHub, refresh": {
		body: `{"error":"bad_refresh_token"}`,
		code: "bad_refresh_token", means: InvalidGrant, errorStatus: 400,
	},
	"GitHub, form": {
		body: `error=bad_verification_code&error_uri=HIDDEN`,
		code: "bad_verification_code", means: InvalidGrant, errorStatus: 400,
	},
	"Slack": {
		body: `{"ok":false,"error":"invalid_refresh_token"}`,
		code: "invalid_refresh_token", means: InvalidGrant, errorStatus: 400,
	},
	"error true": {
		body: `{"access_token":"x","error":true}`, code: "server_error", means: Refused, errorStatus: 400,
	},
	"error 1": {
		body: `{"access_token":"x","error":1}`, code: "server_error", means: Refused, errorStatus: 400,
	},
	"error in a list": {
		body: `{"access_token":"x","error":[[]]}`, code: "server_error", means: Refused, errorStatus: 400,
	},
	"error in an object": {
		body: `{"access_token":"x","error":{"a":{}}}`, code: "server_error", means: Refused, errorStatus: 400,
	},
	"Slack, without a code": {body: `{"ok":false}`, code: "server_error", means: Refused, errorStatus: 400},
	"error and tokens": {
		body: `{"access_token":"HIDDEN","error":"invalid_code"}`,
		code: "invalid_code", means: InvalidGrant, errorStatus: 400,
	},
	"error is an object": {
		status: 400, body: `{"error":{"message":"HIDDEN"}}`, code: "server_error", means: Refused,
	},
	"error in prose": {
		status: 400, body: `{"error":"Code HIDDEN is bad"}`, code: "server_error", means: Refused,
	},
	"error too long": {
		status: 400, body: `{"error":"` + strings.Repeat("long", 11) + `"}`,
		code: "server_error", means: Refused,
	},
	"a word of /poll": {status: 400, body: `{"error":"slow_down"}`, code: "server_error", means: Refused},
	"a name of every object": {
		status: 400, body: `{"error":"constructor"}`, code: "server_error", means: Refused,
	},
	"not an error":    {status: 403, body: `{"message":"HIDDEN"}`, code: "server_error", means: Refused},
	"too many":        {status: 429, body: `{}`, code: "temporarily_unavailable", means: ProviderBusy},
	"too many, empty": {status: 429, code: "temporarily_unavailable", means: ProviderBusy, malformed: true},
	"403 in HTML": {
		status: 403, body: `<h1>HIDDEN</h1>`, code: "server_error", means: Refused, malformed: true,
	},
	"500 in HTML": {
		status: 500, body: "<h1>HIDDEN</h1>",
		code: "server_error", means: ProviderFailed, malformed: true,
	},
	"503": {status: 503, body: `{"message":"HIDDEN"}`, code: "server_error", means: ProviderFailed},
	"503 with a code": {
		status: 503, body: `{"error":"temporarily_unavailable"}`,
		code: "temporarily_unavailable", means: ProviderBusy,
	},
	"500 with a code": {
		status: 500, body: `{"error":"invalid_client"}`, code: "invalid_client", means: InvalidClient,
	},
}

// notOAuthResponses are answers that OAuth does not have. Their error has no status, since the provider's
// says nothing.
var notOAuthResponses = map[string]recorded{
	"HTML":                   {body: "<h1>HIDDEN</h1>"},
	"a list of tokens":       {body: `{"access_token":["HIDDEN"]}`},
	"HTML with a form in it": {body: `<a href="/login?x=1&access_token=HIDDEN">`},
	"empty":                  {body: ""},
	"204":                    {status: 204, body: ""},
	"null":                   {body: "null"},
	"array":                  {body: `[{"access_token":"HIDDEN"}]`},
	"string":                 {body: `"access_token"`},
	"string like a form":     {body: `"x&access_token=HIDDEN"`},
	"cut off":                {body: `{"access_token":"HIDDEN"`},
	"cut off, like a form":   {body: `{"u":"a&access_token=HIDDEN"`},
	"form without tokens":    {body: "token_type=HIDDEN"},
	"1 MB and a byte":        {body: `{"access_token":"x"}` + strings.Repeat(" ", maxAnswer-19)},
	"redirect":               {status: 302, body: ""},
	"redirect with tokens":   {status: 307, body: goodTokens},
	"no token":               {body: `{}`},
	"no token, a status":     {body: `{"status":"HIDDEN"}`},
	"no token, a number":     {body: `{"errcode":40029,"errmsg":"HIDDEN"}`},
	"blank token": {body: `{"access_token":" 
"}`},
	"null token":         {body: `{"access_token":null,"id_token":{}}`},
	"refresh token only": {body: `{"refresh_token":"HIDDEN"}`},
	"token in words":     {body: `{"message":"access_token"}`},
	"form, blank token":  {body: "access_token=&x=HIDDEN"},
	"two objects":        {body: `{"access_token":"HIDDEN"}{}`},
	"too deep": {
		body: `{"access_token":"HIDDEN","x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) +
			"}",
	},
	"status 99":  {status: 99, body: `{}`},
	"status 600": {status: 600, body: `{"error":"invalid_grant"}`},
}

func TestTokenResponses(t *testing.T) {
	t.Parallel()
	for name, row := range tokenResponses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokens, err := readTokenResponse(row.answer(), grantCode)
			if err != nil || string(tokens) != row.tokens {
				t.Errorf("got %.200q, %v", tokens, err)
			}
		})
	}
	for name, row := range tokenErrors {
		t.Run("error/"+name, func(t *testing.T) {
			t.Parallel()
			row.expectError(t)
		})
	}
	for name, row := range notOAuthResponses {
		t.Run("not OAuth/"+name, func(t *testing.T) {
			t.Parallel()
			row.code, row.means = "server_error", NotOAuth
			row.expectError(t)
		})
	}
}

func (r recorded) answer() Answer {
	return Answer{Status: cmp.Or(r.status, http.StatusOK), Body: []byte(r.body)}
}

func (r recorded) expectError(t *testing.T) {
	t.Helper()
	tokens, err := readTokenResponse(r.answer(), grantCode)
	got, ok := errors.AsType[*Error](err)
	if !ok || tokens != nil {
		t.Fatalf("got %q, %v", tokens, err)
	}
	status := cmp.Or(r.errorStatus, r.status)
	if r.means == NotOAuth {
		status = 0
	}
	if got.Code != r.code || got.Meaning != r.means || got.Status != status || got.Malformed != r.malformed {
		t.Errorf("got %+v", got)
	}
	if got.Cause == nil || strings.Contains(err.Error()+got.Meaning.ForPerson(), "HIDDEN") {
		t.Errorf("its cause is %v", got.Cause)
	}
}

// A body that is accepted is a JSON object without an error. If it was JSON it is returned unchanged.
func FuzzTokenResponse(f *testing.F) {
	for _, rows := range []map[string]recorded{tokenResponses, tokenErrors, notOAuthResponses} {
		for _, row := range rows {
			if len(row.body) > 1000 {
				continue
			}
			for _, status := range []int{200, 204, 302, 400, 500} {
				f.Add(status, []byte(row.body))
			}
		}
	}
	f.Add(200, []byte("access_token=x&expires_in=3600"))
	f.Add(200, []byte(`[{"u":"a&access_token=y"}]`))
	f.Add(200, []byte(`{"a":"`+"\xff"+`"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		grantType := grantCode
		if len(body)%2 == 0 {
			grantType = grantRefreshToken
		}
		tokens, err := readTokenResponse(Answer{Status: status, Body: body}, grantType)
		if err != nil {
			got, ok := errors.AsType[*Error](err)
			whole := ok && got.Code != "" && got.Cause != nil && (got.Status == 0 || got.Status >= 400)
			if !whole || tokens != nil {
				t.Fatalf("%d %q: tokens %q, error %#v", status, body, tokens, err)
			}
			return
		}
		var object map[string]any
		err = json.Unmarshal(bytes.TrimPrefix(tokens, []byte("\ufeff")), &object)
		if err != nil || object == nil || status < 200 || status > 299 {
			t.Fatalf("%d %q is accepted", status, body)
		}
		if code, _ := object["error"].(string); code != "" || object["ok"] == false || !hasToken(object) {
			t.Fatalf("%q is accepted", body)
		}
		for name := range object {
			// HTML and broken JSON that look like a form have names that no form of a provider has.
			if !bytes.Equal(tokens, body) && strings.ContainsAny(name, "<>{}[]\"' \n") {
				t.Fatalf("%q is taken for a form", body)
			}
		}
		if json.Valid(bytes.TrimPrefix(body, []byte("\ufeff"))) && !bytes.Equal(tokens, body) {
			t.Fatalf("%q became %q", body, tokens)
		}
	})
}

// hasToken reports whether a decoded response has a token at any depth.
func hasToken(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range []string{"access_token", "id_token"} {
			if token, _ := value[name].(string); strings.TrimSpace(token) != "" {
				return true
			}
		}
		return slices.ContainsFunc(slices.Collect(maps.Values(value)), hasToken)
	case []any:
		return slices.ContainsFunc(value, hasToken)
	default:
		return false
	}
}

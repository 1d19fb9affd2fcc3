package oauth

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// How providers say that the person said no, in the form of their documentation and of public reports.
func TestPersonSaidNo(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"by its name":        "error=access_denied&state=S",
		"with a code":        "error=access_denied&code=C",
		"Facebook":           "error_reason=user_denied&state=S",
		"as a number":        "error_code=200&error_reason=user_denied",
		"in words":           "error_message=The+user+denied+the+request",
		"in other words":     "error_description=Access+denied.",
		"by LinkedIn's code": "error=user_cancelled_login",
		"in one word":        "error=cancelled",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			refusal := ReadAuthorizationResponse(sent.Get).Refusal
			if refusal == nil || refusal.Code != "access_denied" || refusal.Meaning != Denied ||
				refusal.Cause != nil {
				t.Errorf("got %+v", refusal)
			}
		})
	}
}

// What providers send back with the browser, in the form of their documentation and of public reports. A row
// more is a case more.
func TestReadAuthorizationResponse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query   string
		code    string  // of the error; blank: there is none
		meaning Meaning // of the error
		cause   string  // words in it
	}{
		"a code":               {query: "code=C&state=S&iss=I"},
		"a code, and words":    {query: "code=C&state=S&error_reason=none&error_description=none"},
		"a code, GitHub's app": {query: "code=C&state=S&installation_id=1&setup_action=install"},
		"not denied": {
			query: "error_message=The+redirect+URI+of+the+app+was+denied", code: "server_error",
			meaning: ProviderFailed, cause: "redirected with this error",
		},
		"refused": {
			query: "error=invalid_scope&error_description=x", code: "invalid_scope", meaning: InvalidScope,
			cause: "redirected with this error",
		},
		"a number": {
			query: "error_code=901&error_message=Not+configured&state=S", code: "server_error",
			meaning: ProviderFailed, cause: "the error_code 901",
		},
		"no number": {
			query: "error_code=SECRET&state=S", code: "server_error", meaning: ProviderFailed,
			cause: "redirected with this error",
		},
		"a long number": {
			query: "error_code=" + strings.Repeat("9", 20), code: "server_error", meaning: ProviderFailed,
			cause: "redirected with this error",
		},
		"GitHub's app, to be approved": {
			query: "setup_action=request&state=S", code: "consent_required", meaning: ConsentRequired,
			cause: "must approve",
		},
		"GitHub's app, updated": {
			query: "setup_action=update&state=S", code: "server_error", meaning: NoCode,
			cause: "neither a code",
		},
		"nothing": {query: "state=S", code: "server_error", meaning: NoCode, cause: "neither a code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			response := ReadAuthorizationResponse(query.Get)
			if response.State != query.Get("state") || response.Code != query.Get("code") ||
				response.Issuer != query.Get("iss") {
				t.Errorf("got %+v", response)
			}
			err = response.Err()
			if test.code == "" {
				if err != nil || response.Refusal != nil {
					t.Errorf("it fails: %v", err)
				}
				return
			}
			refusal, ok := errors.AsType[*Error](err)
			if !ok || refusal.Code != test.code || refusal.Meaning != test.meaning {
				t.Fatalf("got %+v", err)
			}
			if (response.Refusal == nil) != (test.meaning == NoCode) {
				t.Errorf("the refusal is %v", response.Refusal)
			}
			cause := refusal.Error()
			if !strings.Contains(cause, test.cause) || strings.Contains(cause, "SECRET") ||
				(refusal.Cause == nil) != (test.cause == "") {
				t.Errorf("the cause is %v", refusal.Cause)
			}
		})
	}
}

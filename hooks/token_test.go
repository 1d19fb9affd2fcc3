package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// A body that is judged good is a JSON object without an error. If it was JSON it is returned unchanged.
func FuzzTokenResponse(f *testing.F) {
	for _, seed := range []string{
		tokenResponse, `{}`, `null`, `[]`, `{"error":"x"}`, `{"error":null}`, `{"ok":false}`, `{"ok":true,"access_token":"x"}`,
		"access_token=x&expires_in=3600", "error=bad", "<html>", "\ufeff{}", `"x&access_token=y"`, `[{"u":"a&access_token=y"}]`, `{"u":"a&access_token=y"`, `<a href="/login?x=1&access_token=">`, `{"error":{"a":1}}`, `{"a":"` + "\xff" + `"}`,
	} {
		for _, status := range []int{200, 204, 302, 400, 500} {
			f.Add(status, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		tokens, err := readTokenResponse(status, body)
		if err != nil {
			p, ok := errors.AsType[*problem](err)
			if !ok || tokens != nil || p.Code == "" || p.Description == "" || (status >= 200 && status < 400 && p.Status < 400) {
				t.Fatalf("%d %q: tokens %q, error %#v", status, body, tokens, err)
			}
			return
		}
		var object map[string]any
		if json.Unmarshal(bytes.TrimPrefix(tokens, []byte("\ufeff")), &object) != nil || object == nil || status < 200 || status > 299 {
			t.Fatalf("%d %q is judged good", status, body)
		}
		if code, _ := object["error"].(string); code != "" || object["ok"] == false {
			t.Fatalf("%q is judged good", body)
		}
		for name := range object {
			// HTML and broken JSON that look like a form have names that no form of a provider has.
			if !bytes.Equal(tokens, body) && strings.ContainsAny(name, "<>{}[]\"' \n") {
				t.Fatalf("%q is judged to be a form", body)
			}
		}
		if json.Valid(bytes.TrimPrefix(body, []byte("\ufeff"))) && !bytes.Equal(tokens, body) {
			t.Fatalf("%q became %q", body, tokens)
		}
	})
}

func TestDescriptionsAreSentences(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"access_denied", "invalid_client", "invalid_grant", "invalid_scope", "redirect_uri_mismatch", "invalid_request", "server_error", "never_heard_of"} {
		if words := describe(code); len(words) < 20 || words[len(words)-1] != '.' {
			t.Errorf("%s: %q", code, words)
		}
	}
}

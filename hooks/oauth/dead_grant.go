package oauth

import (
	"net/http"
	"slices"
	"strings"
)

// maxPlainText bounds an answer that is read as plain text, in bytes. A longer one is a page of some kind.
const maxPlainText = 4 << 10

// asksForPerson are the codes of a provider that wants to see the person again (OpenID Connect Core section
// 3.1.2.6). At a refresh nobody is there to be asked.
var asksForPerson = []string{"interaction_required", "login_required", "consent_required"}

// isDeadGrant decides whether the refusal of a refresh means that the grant is no longer good, although many
// providers do not call that invalid_grant (RFC 6749 section 5.2). By this code a plugin knows that the
// person must sign in again. The body is JSON if the answer was a form.
//
// What is about the client, the scope or the grant type, what passes by itself, and a page of HTML do not
// mean it: the person stays signed in. Errors under 200 count as those under 400 do, but they must say what
// is wrong.
func isDeadGrant(answer Answer, body []byte, isObject bool) bool {
	switch {
	case answer.isSuccess() && isObject:
	case slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden},
		answer.Status):
	default:
		return false
	}
	said, isJSON := readRefusal(body)
	if !isJSON {
		text := strings.TrimSpace(string(body[:min(len(body), maxPlainText+1)]))
		if text == "" {
			return answer.Status == http.StatusBadRequest
		}
		// Broken JSON and HTML may quote anything.
		return len(text) <= maxPlainText && !strings.ContainsAny(text, "<{[") && saysDead(wordsOf(text))
	}
	switch code := said.code; {
	case MeaningOf(code) == InvalidGrant || slices.Contains(asksForPerson, code):
		return true
	case isAboutSomethingElse(code):
		return false
	case said.dead:
		return true
	default:
		return answer.Status == http.StatusBadRequest && isObject && code == "" && !said.otherSubject
	}
}

// isAboutSomethingElse reports whether a code says that the grant is not what is wrong, whatever the words
// beside it. An unauthorized_client may be overruled: that is what Atlassian calls a dead refresh token.
func isAboutSomethingElse(code string) bool {
	switch MeaningOf(code) {
	case InvalidClient:
		return code != "unauthorized_client"
	case InvalidScope, InvalidRedirectURI:
		return true
	default:
		return slices.Contains([]string{"unsupported_grant_type", "slow_down", "too_many_requests"}, code)
	}
}

// refusalReading is what a refusal says, at any depth.
type refusalReading struct {
	code         string // the member error of the object, or the first code that has a meaning here
	dead         bool   // its words say that the token or the grant is no longer good
	otherSubject bool   // its words are about the client, the scope or too many requests
}

// readRefusal reads the strings of a refusal, in one pass. It reports whether the refusal is JSON at all.
func readRefusal(body []byte) (said refusalReading, isJSON bool) {
	var own, first string
	var fields []invalidField // of the objects that are open
	isJSON = walkJSON(body, func(value jsonValue) {
		switch value.kind {
		case '{':
			fields = append(fields, invalidField{})
		case '}':
			said.dead = said.dead || fields[len(fields)-1] == invalidField{isToken: true, isInvalid: true}
			fields = fields[:len(fields)-1]
		}
		if value.kind != '"' {
			return
		}
		code := strings.ToLower(strings.TrimSpace(value.text))
		if value.depth == 1 && value.name == "error" && isCode(value.text) {
			own = code
		}
		if first == "" && hasMeaning(code) {
			first = code
		}
		words := wordsOf(value.text)
		if len(fields) > 0 {
			fields[len(fields)-1].add(value.name, words)
		}
		if isTokenName(value.name) { // such as {"refresh_token": ["is invalid"]}
			words = slices.Concat([]string{"token"}, words)
		}
		said.dead = said.dead || saysDead(words)
		said.otherSubject = said.otherSubject || slices.ContainsFunc(words, isOtherSubject)
	})
	said.code = own
	if first != "" && !hasMeaning(own) {
		said.code = first
	}
	return said, isJSON
}

// hasMeaning reports whether a code alone decides.
func hasMeaning(code string) bool {
	return MeaningOf(code) != Refused || isAboutSomethingElse(code) || slices.Contains(asksForPerson, code)
}

// invalidField recognizes an object that names the field and what is wrong with it in members of their own:
// Strava's {"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}.
type invalidField struct{ isToken, isInvalid bool }

// add adds a member whose value is a string.
func (f *invalidField) add(name string, words []string) {
	switch strings.ToLower(name) {
	case "field", "param", "parameter", "property", "attribute", "argument", "path", "target":
		f.isToken = f.isToken || slices.Equal(words, []string{"refresh", "token"})
	default:
		f.isInvalid = f.isInvalid || saysDead(slices.Concat([]string{"token"}, words))
	}
}

func isTokenName(name string) bool {
	return slices.Contains([]string{"refresh_token", "refreshToken", "RefreshToken"}, name)
}

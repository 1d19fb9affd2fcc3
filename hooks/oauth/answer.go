package oauth

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// readTokenResponse reads the answer of a token endpoint (RFC 6749 sections 5.1 and 5.2). A good one is a
// 2xx with a JSON object, under whatever content type, that carries neither "error" nor "ok": false, and has
// an access token or an ID token somewhere in it; it comes back unchanged. A form-encoded one, as GitHub
// sends it, is turned into JSON. At a refresh, a grant that is dead in whatever words is invalid_grant.
func readTokenResponse(answer Answer, grantType string) ([]byte, error) {
	if len(answer.Body) > maxAnswer {
		return nil, notOAuth("is larger than 1 MB")
	}
	body := answer.Body
	found, isObject := readOutline(body)
	if !isObject {
		if encoded, isForm := formToJSON(body); isForm {
			body = encoded
			found, isObject = readOutline(body)
		}
	}
	success := answer.isSuccess()
	switch {
	case success && isObject && !found.failed && found.hasToken && hasManyTokens(body):
		return nil, notOAuth(fmt.Sprintf("has more than %d tokens", maxTokens))
	case success && isObject && !found.failed && found.hasToken:
		return body, nil
	case !success && !answer.isError():
		return nil, notOAuth(fmt.Sprintf("has the status %d", answer.Status))
	case grantType == grantRefreshToken && isDeadGrant(answer, body, isObject):
		return nil, refusal(answer, "invalid_grant", isObject)
	case success && !isObject:
		return nil, notOAuth("is not a JSON object")
	case success && !found.failed:
		return nil, notOAuth(fmt.Sprintf("has the status %d, but no token%s", answer.Status, found.number))
	case grantType == grantRefreshToken && answer.passes() && MeaningOf(found.code) == InvalidGrant:
		return nil, refusal(answer, "", isObject) // by this code a plugin would sign the person out
	default:
		return nil, refusal(answer, found.code, isObject)
	}
}

func (a Answer) isSuccess() bool { return a.Status >= 200 && a.Status < 300 }
func (a Answer) isError() bool   { return a.Status >= 400 && a.Status < 600 }

// passes reports whether the status says that the fault passes by itself.
func (a Answer) passes() bool {
	return a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError
}

// refusal is the error of an answer without tokens. RFC 6749 has errors under 400; GitHub and Slack send them
// under 200.
func refusal(answer Answer, code string, isObject bool) *Error {
	status := answer.Status
	if answer.isSuccess() {
		status = http.StatusBadRequest
	}
	if code == "" && status == http.StatusTooManyRequests {
		code = "temporarily_unavailable" // the status says what the provider has no code for
	}
	err := &Error{Code: cmp.Or(code, "server_error"), Status: status, Meaning: MeaningOf(code),
		Malformed: !isObject, RetryAfter: answer.RetryAfter}
	if code == "" && status >= http.StatusInternalServerError {
		err.Meaning = ProviderFailed
	}
	err.Cause = fmt.Errorf("the token endpoint answered %d with the error %s", status, err.Code)
	return err
}

// outline is what decides whether an answer is a success.
type outline struct {
	code     string // the error code, if it is one that may be passed on
	failed   bool   // it has an error, or "ok" is false
	hasToken bool   // at any depth
	number   string // for the log: the number of an error that has no code, or blank
}

// readOutline reads a body in one pass, and reports whether it is a JSON object. An error of null, "", false,
// 0, [] or {} is none.
func readOutline(body []byte) (found outline, isObject bool) {
	opened := false // an error that is an object or an array has just begun
	isJSON := walkJSON(body, func(value jsonValue) {
		isEnd := value.kind == '}' || value.kind == ']'
		found.failed = found.failed || (opened && !isEnd)
		opened = false
		switch {
		case value.depth == 0 && value.kind == '{':
			isObject = true
		case value.depth == 1 && value.name == "ok":
			found.failed = found.failed || value.kind == 'f'
		case value.depth == 1 && value.name == "error" && !isEnd:
			opened = value.kind == '{' || value.kind == '['
			found.code = ""
			if value.kind == '"' {
				found.code = safeCode(value.text)
			}
			found.failed = found.failed || !(opened || isNothing(value))
		case value.name == "access_token" || value.name == "id_token":
			found.hasToken = found.hasToken ||
				(value.kind == '"' && !value.isElement && strings.TrimSpace(value.text) != "")
		case value.name == "errcode" && value.kind == '0' && errorNumber.MatchString(value.text):
			found.number = " (errcode " + value.text + ")"
		}
	})
	return found, isJSON && isObject
}

var errorNumber = regexp.MustCompile(`^-?[0-9]{1,9}$`)

// isNothing reports whether a scalar is what providers send in place of no error.
func isNothing(value jsonValue) bool {
	switch value.kind {
	case 'n', 'f':
		return true
	case '"':
		return value.text == ""
	case '0':
		return value.text == "0"
	default:
		return false
	}
}

// formToJSON turns a form-encoded token response or error into a JSON object. Lifetimes become numbers, as in
// JSON.
func formToJSON(body []byte) ([]byte, bool) {
	form, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil || !(form.Has("access_token") || form.Has("id_token") || form.Has("error")) {
		return nil, false
	}
	object := make(map[string]any, len(form))
	for name, values := range form {
		// Broken JSON and HTML can look like a form, but not with such names.
		if !formName.MatchString(name) {
			return nil, false
		}
		object[name] = values[0]
		if seconds, err := strconv.ParseInt(values[0], 10, 64); err == nil && strings.HasSuffix(name,
			"expires_in") {
			object[name] = seconds
		}
	}
	encoded, err := json.Marshal(object)
	return encoded, err == nil
}

var formName = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

var codeForm = regexp.MustCompile(`^[a-z_]+$`)

// isCode reports whether a value has the form of an error code.
func isCode(value string) bool { return len(value) <= 40 && codeForm.MatchString(value) }

// safeCode returns a provider's error code if it may be passed on, else "". What is not of a code's form may
// be prose, or quote a secret; and a plugin must not take the provider's words for those that /poll has for
// itself (RFC 8628 section 3.5). Nor may it be a name that every object of JavaScript has, where plugins look
// up what a code means.
func safeCode(code string) string {
	taken := []string{"authorization_pending", "slow_down", "expired_token", "not_found", "constructor"}
	if !isCode(code) || slices.Contains(taken, code) || strings.HasPrefix(code, "__") {
		return ""
	}
	return code
}

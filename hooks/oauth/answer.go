package oauth

import (
	"bytes"
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
// 2xx with a JSON object, under whatever content type, that carries neither "error" nor "ok": false; it comes
// back unchanged. A form-encoded one, as GitHub sends it, is turned into JSON.
func readTokenResponse(answer Answer) ([]byte, error) {
	if len(answer.Body) > maxAnswer {
		return nil, notOAuth("is larger than 1 MB")
	}
	tokens := answer.Body
	members, isObject := jsonObject(tokens)
	if !isObject {
		if tokens, isObject = formToJSON(answer.Body); isObject {
			members, isObject = jsonObject(tokens)
		}
	}
	var code string
	var failed bool
	if isObject {
		code, failed = errorOf(members)
	}
	switch success := answer.isSuccess(); {
	case success && isObject && !failed:
		return tokens, nil
	case success && !isObject:
		return nil, notOAuth("is not a JSON object")
	case !success && !answer.isError():
		return nil, notOAuth(fmt.Sprintf("has the status %d", answer.Status))
	}
	if isDeadRefreshToken(code, members) {
		code = "invalid_grant"
	}
	return nil, refusal(answer, code, isObject)
}

func (a Answer) isSuccess() bool { return a.Status >= 200 && a.Status < 300 }
func (a Answer) isError() bool   { return a.Status >= 400 && a.Status < 600 }

// refusal is the error of an answer without tokens. RFC 6749 has errors under 400; GitHub and Slack send them
// under 200.
func refusal(answer Answer, code string, isObject bool) *Error {
	status := answer.Status
	if answer.isSuccess() {
		status = http.StatusBadRequest
	}
	err := &Error{Code: cmp.Or(code, "server_error"), Status: status, Meaning: MeaningOf(code),
		Malformed: !isObject}
	if code == "" && status >= http.StatusInternalServerError {
		err.Meaning = ProviderFailed
	}
	err.Cause = fmt.Errorf("the token endpoint answered %d with the error %s", status, err.Code)
	return err
}

// jsonObject decodes one JSON object, without a byte order mark if there is one. Version 1 of the package
// takes what providers send: duplicate names, and bytes that are not UTF-8.
func jsonObject(body []byte) (map[string]json.RawMessage, bool) {
	var object map[string]json.RawMessage
	err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &object)
	return object, err == nil && object != nil
}

// formToJSON turns a form-encoded token response or error into a JSON object. Lifetimes become numbers, as in
// JSON.
func formToJSON(body []byte) ([]byte, bool) {
	form, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil || (!form.Has("access_token") && !form.Has("error")) {
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

// errorOf returns the error code of an answer, if it has one, and whether the answer is an error at all.
// An error of null or "" is none. A code that is not of a code's form is left out.
func errorOf(members map[string]json.RawMessage) (code string, failed bool) {
	ok := true // which null leaves alone
	if raw, found := members["ok"]; found && json.Unmarshal(raw, &ok) == nil && !ok {
		failed = true
	}
	raw, found := members["error"]
	if !found || string(raw) == "null" || string(raw) == `""` {
		return "", failed
	}
	if json.Unmarshal(raw, &code) != nil {
		return "", true
	}
	return safeCode(code), true
}

var codeForm = regexp.MustCompile(`^[a-z_]{1,40}$`)

// safeCode returns a provider's error code if it may be passed on, else "". What is not of a code's form may
// be prose, or quote a secret; and a plugin must not take the provider's words for those that /poll has for
// itself (RFC 8628 section 3.5). Nor may it be a name that every object of JavaScript has, where plugins look
// up what a code means.
func safeCode(code string) string {
	taken := []string{"authorization_pending", "slow_down", "expired_token", "not_found", "constructor"}
	if !codeForm.MatchString(code) || slices.Contains(taken, code) || strings.HasPrefix(code, "__") {
		return ""
	}
	return code
}

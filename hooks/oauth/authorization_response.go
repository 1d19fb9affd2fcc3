package oauth

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
)

// AuthorizationResponse is what the browser brings from the provider (RFC 6749 sections 4.1.2 and 4.1.2.1).
type AuthorizationResponse struct {
	// State is the parameter of this name.
	State string

	// Code is the authorization code.
	Code string

	// Issuer is the parameter iss (RFC 9207).
	Issuer string

	// Refusal is what the provider says instead of giving a code. It is nil if the response says nothing.
	Refusal *Error
}

// ReadAuthorizationResponse reads a response with a function that returns a parameter by its name, or "".
func ReadAuthorizationResponse(param func(name string) string) AuthorizationResponse {
	return AuthorizationResponse{
		State:   param("state"),
		Code:    param("code"),
		Issuer:  param("iss"),
		Refusal: refusalOf(param),
	}
}

// Err says why the login cannot go on: it returns an *[Error], or nil if there is a code.
func (r AuthorizationResponse) Err() error {
	switch {
	case r.Refusal != nil:
		return r.Refusal
	case r.Code == "":
		return newError(NoCode, errors.New("the provider redirected with neither a code nor an error"))
	default:
		return nil
	}
}

// refusalOf looks for what RFC 6749 has as error, and otherwise, if there is no code, for what some
// providers have instead: Facebook's error_code and error_reason, GitHub's setup_action.
func refusalOf(param func(name string) string) *Error {
	code := param("error")
	if code == "" && param("code") != "" {
		return nil
	}
	if code != "" {
		return AuthorizationError(code)
	}
	for _, name := range []string{"error_reason", "error_code", "error_message", "error_description"} {
		if refusal := AuthorizationError(param(name)); refusal.Meaning == Denied {
			return refusal
		}
	}
	switch number := param("error_code"); {
	case param("setup_action") == "request":
		refusal := AuthorizationError("consent_required")
		refusal.Cause = errors.New("an owner must approve the installation of the app")
		return refusal
	case errorNumber.MatchString(number):
		refusal := AuthorizationError("server_error")
		refusal.Cause = fmt.Errorf("the provider redirected with the error_code %s", number)
		return refusal
	case number != "" || param("error_reason") != "" || param("error_message") != "":
		return AuthorizationError("server_error")
	default:
		return nil
	}
}

// maxWords bounds the words of a provider that are looked at, in bytes.
const maxWords = 500

// personSaidNo matches the codes of providers for a person who says no, such as user_denied and
// user_cancelled_login, and sentences about that. Few processes need it, and it takes long to compile.
var personSaidNo = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)` +
		`^(access|user|consent|authori[sz]ation|login|permissions?)?[_ -]?(denied|cancell?ed|declined)$` +
		`|(user|consumer|person|customer|owner)\b.{0,40}` +
		`(denie[sd]|cancell?(ed|s)\b|declined|did not (allow|authorize))` +
		`|^user[_-](denied|cancell?(ed)?|declined)` +
		`|access[_ -]denied`)
})

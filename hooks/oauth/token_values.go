package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// TokenKind is the kind of a token in a token response, as its member is called (RFC 6749 section 5.1).
type TokenKind string

const (
	// AccessToken is what the provider's API takes.
	AccessToken TokenKind = "access_token"
	// RefreshToken is what the token endpoint takes for new tokens.
	RefreshToken TokenKind = "refresh_token"
)

// ReplaceTokens returns a token response in which each access token and each refresh token, at any depth, is
// replaced by what replace returns for it, which must need no escapes in JSON. It is given the value as it
// stands in the response, with the quotes and escapes of a string. Every other byte stays. Blank strings are
// no tokens, nor is what is neither a string nor a number; an object or an array with the name of a token
// holds tokens of that kind. It fails if there are more than a thousand.
func ReplaceTokens(response []byte, replace func(TokenKind, []byte) (string, error)) ([]byte, error) {
	var replaced bytes.Buffer
	done := 0 // how much of the response has been copied, in bytes
	err := eachToken(response, func(kind TokenKind, value jsonValue) error {
		token, err := replace(kind, response[value.begin:value.end])
		replaced.Write(response[done:value.begin])
		replaced.WriteString(`"` + token + `"`)
		done = value.end
		return err
	})
	if err != nil {
		return nil, err
	}
	replaced.Write(response[done:])
	return replaced.Bytes(), nil
}

// maxTokens bounds the tokens of a response. Providers send three or four. A token of a letter takes four
// bytes there, and twenty times as many once it is sealed.
const maxTokens = 1000

var errManyTokens = fmt.Errorf("the token response has more than %d tokens", maxTokens)

// hasManyTokens reports whether a token response has more tokens than ReplaceTokens replaces.
func hasManyTokens(response []byte) bool {
	if bytes.Count(response, []byte(",")) < maxTokens {
		return false // there is one between any two
	}
	return errors.Is(eachToken(response, func(TokenKind, jsonValue) error { return nil }), errManyTokens)
}

// TokensIn returns the access and refresh tokens in a token response, at any depth. There are none in what is
// not JSON.
func TokensIn(response []byte) (tokens []string) {
	err := eachToken(response, func(_ TokenKind, value jsonValue) error {
		tokens = append(tokens, TokenText(response[value.begin:value.end]))
		return nil
	})
	if err != nil {
		return nil
	}
	return tokens
}

// TokenText returns the token that a value of JSON stands for: the text of a string, or the digits of a
// number.
func TokenText(value []byte) (token string) {
	if json.Unmarshal(value, &token) != nil {
		return string(value)
	}
	return token
}

// eachToken visits the tokens of a response, as [ReplaceTokens] has them, until there are too many or a visit
// fails.
func eachToken(response []byte, visit func(TokenKind, jsonValue) error) error {
	f := tokenFinder{visit: visit}
	if !walkJSON(response, f.see) {
		return errors.New("the token response is not JSON")
	}
	return f.err
}

// tokenFinder finds the tokens among the values of a token response.
type tokenFinder struct {
	visit func(TokenKind, jsonValue) error
	count int
	err   error

	// The object or array that is open and has the name of a token; blank: none is. depth is where it is.
	kind  TokenKind
	depth int
}

func (f *tokenFinder) see(value jsonValue) {
	kind := tokenKindOf(value.name)
	switch value.kind {
	case '{', '[':
		if f.kind == "" && kind != "" {
			f.kind, f.depth = kind, value.depth
		}
	case '}', ']':
		if f.kind != "" && f.depth == value.depth {
			f.kind = ""
		}
	case '"', '0':
		if kind = cmp.Or(kind, f.kind); kind == "" || strings.TrimSpace(value.text) == "" || f.err != nil {
			return
		}
		if f.count++; f.count > maxTokens {
			f.err = errManyTokens
			return
		}
		f.err = f.visit(kind, value)
	}
}

// tokenKindOf returns the kind of the token that a member of a token response has, or "".
func tokenKindOf(name string) TokenKind {
	if kind := TokenKind(name); kind == AccessToken || kind == RefreshToken {
		return kind
	}
	return ""
}

package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
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
	r := tokenReplacer{response: response, replace: replace}
	if !walkJSON(response, r.visit) {
		return nil, errors.New("the token response is not JSON")
	}
	if r.err != nil {
		return nil, r.err
	}
	r.replaced.Write(response[r.done:])
	return r.replaced.Bytes(), nil
}

// maxTokens bounds the tokens of a response. Providers send three or four. A token of a letter takes four bytes
// there, and twenty times as many once it is sealed.
const maxTokens = 1000

var errManyTokens = errors.New("the token response has more than 1000 tokens")

// hasManyTokens reports whether a token response has more tokens than ReplaceTokens replaces.
func hasManyTokens(response []byte) bool {
	_, err := ReplaceTokens(response, func(TokenKind, []byte) (string, error) { return "", nil })
	return errors.Is(err, errManyTokens)
}

// TokensIn returns the access and refresh tokens in a token response, at any depth. There are none in what is
// not JSON.
func TokensIn(response []byte) (tokens []string) {
	collect := func(_ TokenKind, value []byte) (string, error) {
		tokens = append(tokens, TokenText(value))
		return "", nil
	}
	if _, err := ReplaceTokens(response, collect); err != nil {
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

// tokenReplacer copies a token response, with other tokens in it.
type tokenReplacer struct {
	count    int // of the tokens
	response []byte
	replace  func(TokenKind, []byte) (string, error)
	replaced bytes.Buffer
	done     int // how much of the response has been copied, in bytes
	err      error

	// The object or array that is open and has the name of a token; blank: none is. depth is where it is.
	kind  TokenKind
	depth int
}

func (r *tokenReplacer) visit(value jsonValue) {
	kind := tokenKindOf(value.name)
	switch value.kind {
	case '{', '[':
		if r.kind == "" && kind != "" {
			r.kind, r.depth = kind, value.depth
		}
	case '}', ']':
		if r.kind != "" && r.depth == value.depth {
			r.kind = ""
		}
	case '"', '0':
		if kind = cmp.Or(kind, r.kind); kind != "" && strings.TrimSpace(value.text) != "" && r.err == nil {
			if r.count++; r.count > maxTokens {
				r.err = errManyTokens
				return
			}
			var token string
			token, r.err = r.replace(kind, r.response[value.begin:value.end])
			r.replaced.Write(r.response[r.done:value.begin])
			r.replaced.WriteString(`"` + token + `"`)
			r.done = value.end
		}
	}
}

// tokenKindOf returns the kind of the token that a member of a token response has, or "".
func tokenKindOf(name string) TokenKind {
	if kind := TokenKind(name); kind == AccessToken || kind == RefreshToken {
		return kind
	}
	return ""
}

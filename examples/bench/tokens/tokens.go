// Package tokens has what the provider of the bench answers, which the bare server answers too.
package tokens

import "strings"

// The codes of a redirect, each of which the provider redeems for tokens of another size.
const (
	Small = "small" // 131 bytes
	KB1   = "1KB"
	KB100 = "100KB"
)

// responses are the answers, by code.
var responses = map[string]string{
	Small: response(0),
	KB1:   response(1 << 10),
	KB100: response(100 << 10),
}

// For returns the token response for a code. Without one, as in a refresh, it is that of Small.
func For(code string) string {
	if answer, found := responses[code]; found {
		return answer
	}
	return responses[Small]
}

// response returns a token response of so many bytes, or without any padding if it takes more.
func response(size int) string {
	const before = `{"access_token":"at-0123456789abcdef`
	const after = `","token_type":"bearer","expires_in":3599,` +
		`"refresh_token":"rt-0123456789abcdef","scope":"read"}`
	return before + strings.Repeat("x", max(0, size-len(before)-len(after))) + after
}

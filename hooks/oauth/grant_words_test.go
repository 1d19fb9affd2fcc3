package oauth

import (
	"bytes"
	"slices"
	"testing"
)

func TestSaysDead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"Invalid refresh token":                        true,
		"InvalidRefreshToken":                          true,
		"EXPIRED-TOKEN":                                true,
		"refreshToken expired":                         true,
		"Unknown or invalid refresh token.":            true,
		"missing or unknown refresh token":             true,
		"The refresh token is missing or expired":      true,
		"the token isn't valid any more":               true,
		"the refresh token is no longer valid":         true,
		"not a valid refresh token":                    true,
		"refresh token does not exist":                 true,
		"The refresh token could not be found":         true,
		"Refresh token has already been used":          true,
		"the authorization code has expired":           true,
		"User revoked the authorization":               true,
		"Error. The grant is unknown":                  true,
		"invalid value for the parameter refreshToken": true,

		"":                                    false,
		"token":                               false,
		"invalid":                             false,
		"The refresh token is valid":          false,
		"The refresh token has not expired":   false,
		"The token was used":                  false,
		"refresh token is required":           false,
		"a token. Invalid client":             false,
		"token: bad request":                  false,
		"invalid id_token":                    false,
		"csrf token is invalid":               false,
		"unknown token endpoint":              false,
		"invalid grant_type":                  false,
		"authorization header is malformed":   false,
		"grant_type refresh_token is unknown": false,
		"invalid client or refresh token":     false,
		"no token":                            false,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := saysDead(wordsOf(text)); got != want {
				t.Errorf("got %t of %q", got, wordsOf(text))
			}
		})
	}
}

func TestWordsOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"BAD_REFRESH_TOKEN":        {"bad", "refresh", "token"},
		"OAuthException":           {"oauth", "exception"},
		"It isn't. Try again!\nSo": {"it", "isnt", ".", "try", "again", ".", "so"},
		"token.expired":            {"token", "expired"},
		"…":                        nil,
		"\xff":                     nil,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := wordsOf(text); !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What decides about a grant costs an answer with tokens nothing.
func TestSuccessesAreNotRead(t *testing.T) {
	t.Parallel()
	body := []byte(`{"access_token":"x","refresh_token":"the refresh token is invalid"}`)
	got, err := readTokenResponse(Answer{Status: 200, Body: body}, grantRefreshToken)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("got %s, %v", got, err)
	}
}

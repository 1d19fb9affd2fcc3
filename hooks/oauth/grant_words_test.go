package oauth

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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

// The time that an answer takes grows as its size does, even where it was made to be slow. That of the
// largest would be minutes if it grew as the square.
func TestHostileAnswersAreReadInTime(t *testing.T) {
	t.Parallel()
	repeat := func(before, unit, after string) func(size int) string {
		return func(size int) string { return before + strings.Repeat(unit, size/len(unit)) + after }
	}
	for name, body := range map[string]func(size int) string{
		"deep":         repeat("", `{"a":`, ""),
		"deep lists":   repeat("", `[`, ""),
		"many members": repeat(`{"a":1`, `,"a":1`, "}"),
		"many lists":   repeat(`{"a":[`, `[],`, "1]}"),
		"many words":   repeat(`{"a":"`, "token ", `"}`),
		"many fillers": repeat(`{"a":"`, "the token ", `"}`),
		"both kinds":   repeat(`{"a":"`, "grant ", `"}`),
		"both before":  repeat(`{"a":"`, "authorization ", `"}`),
		"no grammar":   repeat(`{"a":"`, "token is the ", `"}`),
		"back and forth": func(size int) string {
			return repeat(`{"a":"`, "the ", "")(size/2) + repeat("", "token ", `"}`)(size/2)
		},
	} {
		for _, status := range []int{200, 400} {
			t.Run(fmt.Sprint(name, ", ", status), func(t *testing.T) {
				t.Parallel()
				expectLinear(t, func(size int) {
					answer := Answer{Status: status, Body: []byte(body(size))}
					_, _ = readTokenResponse(answer, grantRefreshToken)
				})
			})
		}
	}
}

// expectLinear fails if what is done with so many bytes takes more than 16 times as long with 16 times as
// many, as far as that can be told from 256 times.
func expectLinear(t *testing.T, do func(size int)) {
	t.Helper()
	const small, times, limit = maxAnswer / 128, 16, 64
	var worst float64
	for range 5 { // what else runs on this machine may harm one of the two
		began := time.Now()
		do(small)
		between := time.Now()
		do(times * small)
		worst = float64(time.Since(between)) / float64(between.Sub(began))
		if worst < limit {
			return
		}
	}
	t.Errorf("%d times the bytes take %.0f times as long", times, worst)
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

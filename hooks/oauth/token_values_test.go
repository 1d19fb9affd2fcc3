package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestReplaceTokens(t *testing.T) {
	t.Parallel()
	const noTokens = `{"access_token":null,"refresh_token":"","id_token":"I",` +
		`"x":{"access_token":" ","refresh_token":true}}`
	for _, test := range []struct{ name, response, want string }{
		{
			name: "every other byte stays",
			response: "\ufeff" + ` { "id": 12345678901234567890, "access_token" : "AT" ,` + "\n" +
				`"n":1.50,"t":"\u003c\/" }` + "\n",
			want: "\ufeff" + ` { "id": 12345678901234567890, "access_token" : "<access_token "AT">" ,` +
				"\n" + `"n":1.50,"t":"\u003c\/" }` + "\n",
		},
		{
			name: "nested",
			response: `{"ok":true,"authed_user":{"access_token":"AT","refresh_token":"RT"},` +
				`"data":[{"access_token":"B"}]}`,
			want: `{"ok":true,"authed_user":{"access_token":"<access_token "AT">",` +
				`"refresh_token":"<refresh_token "RT">"},"data":[{"access_token":"<access_token "B">"}]}`,
		},
		{
			name:     "duplicates, escapes and names with escapes",
			response: `{"access_token":"a\/\u0062","access_token":"b","access\u005ftoken":"c"}`,
			want: `{"access_token":"<access_token "a\/\u0062">","access_token":"<access_token "b">",` +
				`"access\u005ftoken":"<access_token "c">"}`,
		},
		{
			name: "numbers, and what holds tokens",
			response: `{"refresh_token":1.0,"access_token":{"value":"a","list":["b",{"refresh_token":"c"}]}` +
				`,"x":"y"}`,
			want: `{"refresh_token":"<refresh_token 1.0>","access_token":{"value":"<access_token "a">",` +
				`"list":["<access_token "b">",{"refresh_token":"<refresh_token "c">"}]},"x":"y"}`,
		},
		{
			name:     "no tokens",
			response: noTokens,
			want:     noTokens,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			replace := func(kind TokenKind, value []byte) (string, error) {
				return fmt.Sprintf("<%s %s>", kind, value), nil
			}
			got, err := ReplaceTokens([]byte(test.response), replace)
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s\nwant %s\n%v", got, test.want, err)
			}
		})
	}
}

// The tokens are found wherever they are replaced.
func TestTokensIn(t *testing.T) {
	t.Parallel()
	for response, want := range map[string]string{
		`{"access_token":"a\/b","x":{"refresh_token":"c"}}`:          "a/b c",
		"\ufeff" + `{"access_token":["a",{"value":"b"}],"n":"x"}`:    "a b",
		`{"access_token":12345678901234567890,"refresh_token":null}`: "12345678901234567890",
		`{"id_token":"I"}`:          "",
		`{"access_token":"a"} rest`: "",
	} {
		if got := strings.Join(TokensIn([]byte(response)), " "); got != want {
			t.Errorf("%s: %q, want %q", response, got, want)
		}
	}
}

// What is put in is taken out again, and nothing else has changed; and nothing of a token is left.
func FuzzReplaceTokens(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"AT","refresh_token":"RT","expires_in":3600}`,
		`{"authed_user":{"access_token":"a\/b"}}`, `{"access_token":{"a":["b"]}}`,
		"\ufeff{\"access_token\":1}",
		`{"access_token":"` + "\xff" + `"}`, `[]`, `"x"`, `{"access_token":"a"`, `{"a":1}{"b":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, response []byte) {
		var values [][]byte
		replaced, err := ReplaceTokens(response, func(_ TokenKind, value []byte) (string, error) {
			values = append(values, bytes.Clone(value))
			return fmt.Sprintf("REPLACED-%d-", len(values)-1), nil
		})
		if err != nil {
			return
		}
		restored := replaced
		for i, value := range values {
			mark := fmt.Sprintf("\"REPLACED-%d-\"", i)
			if bytes.Count(response, []byte(mark)) > 0 {
				return // the fuzzer has made our mark
			}
			restored = bytes.Replace(restored, []byte(mark), value, 1)
		}
		if !bytes.Equal(restored, response) {
			t.Errorf("%q became %q", response, restored)
		}
		var decoded any
		if json.Unmarshal(bytes.TrimPrefix(replaced, []byte("\ufeff")), &decoded) == nil {
			expectNoToken(t, decoded)
		}
	})
}

// expectNoToken looks for tokens that were not replaced.
func expectNoToken(t *testing.T, value any) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			expectNoToken(t, element)
		}
	case map[string]any:
		for name, member := range value {
			text, isString := member.(string)
			if _, isNumber := member.(float64); tokenKindOf(name) != "" && (isNumber || isString &&
				strings.TrimSpace(text) != "" && !strings.HasPrefix(text, "REPLACED-")) {
				t.Errorf("%s is still %v", name, member)
			}
			expectNoToken(t, member)
		}
	}
}

// A response with tens of thousands of tokens would be many times as large once they are sealed.
func TestTooManyTokens(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]string{
		"a list": `{"id_token":"x","access_token":["last"%s]}`,
		"names":  `{"id_token":"x","access_token":{"x":"last"%s}}`,
	} {
		unit := map[string]string{"a list": `,"1"`, "names": `,"x":"1"`}[name]
		for count, want := range map[int]bool{maxTokens: false, maxTokens + 1: true} {
			body := fmt.Sprintf(format, strings.Repeat(unit, count-1))
			tokens, err := readTokenResponse(Answer{Status: 200, Body: []byte(body)}, grantCode)
			failure, failed := errors.AsType[*Error](err)
			if failed != want || failed && failure.Meaning != NotOAuth || !failed && string(tokens) != body {
				t.Errorf("%s, %d: %v", name, count, err)
			}
		}
	}
}

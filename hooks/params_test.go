package hooks

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestQueryParam(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"code=plain":                     "plain",
		"code=a%2Fb%3D":                  "a/b=",
		"code=a+b":                       "a+b",
		"code=a%2Bb":                     "a+b",
		"code=a%20b":                     "a b",
		"code=100%":                      "100%",
		"code=%zz%41%4":                  "%zzA%4",
		"code=%\x11\x12":                 "%\x11\x12",
		"code=a;b=c":                     "a;b=c",
		"code=a==":                       "a==",
		"x=%&code=a":                     "a",
		"a;code=1&code=2":                "2",
		"code=first&code=second":         "first",
		"code=&code=second":              "second",
		"c%6fde=name":                    "name",
		"refresh_token=other":            "other",
		"refresh_token=other&code=first": "first",
		"codes=x&xcode=y&Code=z":         "",
		"code":                           "",
		"&&&":                            "",
		"":                               "",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			if got := queryParam(query, "code", "refresh_token"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// In JSON a string counts, and a number stands for its digits, however many they are.
func TestJSONParam(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"wait": 25}`:                                "25",
		`{"wait":"25"}`:                               "25",
		`{"wait":12345678901234567890123}`:            "12345678901234567890123",
		`{"wait":-1.50e3 }`:                           "-1.50e3",
		`{"wait":0}`:                                  "0",
		`{"wait":"a\u0041\"b"}`:                       `aA"b`,
		`{"other":[1,{"wait":2}],"second":"x"}`:       "x",
		`{"wait":null,"second":7}`:                    "7",
		`{"wait":"","second":7}`:                      "7",
		`{"wait":true}`:                               "",
		`{"wait":[25]}`:                               "",
		`{"wait":{"a":25}}`:                           "",
		`{"wait":25} {}`:                              "",
		`{"wait":25`:                                  "",
		`{"wait":` + strings.Repeat("[", 20_000):      "",
		`{"wait":` + strings.Repeat("1", 1_000) + "}": strings.Repeat("1", 1_000),
	} {
		t.Run(body[:min(len(body), 40)], func(t *testing.T) {
			t.Parallel()
			e := &request{Request: httptest.NewRequest(http.MethodPost, "/", nil), body: []byte(body)}
			if got := e.param("wait", "second"); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// However many parameters a route wants, the body is decoded once for all of them, and however many are in
// it, the first are read. Allocations stand for time here, and can be counted only while no other test runs.
func TestBodyIsDecodedOnce(t *testing.T) {
	const part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n"
	for contentType, body := range map[string]string{
		"application/json":                  `{"b":2` + strings.Repeat(`,"a":1`, 5_000) + "}",
		"multipart/form-data; boundary=b":   strings.Repeat(part, 500) + "--b--",
		"application/x-www-form-urlencoded": "b=2" + strings.Repeat("&a=1", 5_000),
	} {
		newRequest := func() *request {
			e := &request{Request: httptest.NewRequest(http.MethodPost, "/", nil), body: []byte(body)}
			e.Request.Header.Set("Content-Type", contentType)
			return e
		}
		if e := newRequest(); e.bodyParam("a") != "1" {
			t.Errorf("%s cannot be read", contentType)
		}
		one := testing.AllocsPerRun(5, func() { newRequest().bodyParam("c") })
		many := testing.AllocsPerRun(5, func() {
			e := newRequest()
			for range 10 {
				e.param("c", "d")
			}
		})
		if one > 30*maxParams || many > 1.5*one {
			t.Errorf("%s: %g allocations, and %g for one parameter", contentType, many, one)
		}
	}
}

// What stands behind the first parameters is not read.
func TestParamsAreBounded(t *testing.T) {
	t.Parallel()
	e := &request{Request: httptest.NewRequest(http.MethodPost, "/?"+
		strings.Repeat("a=1&", maxParams-1)+"last=1&behind=1", nil)}
	if e.param("last") != "1" || e.param("behind") != "" {
		t.Errorf("last is %q, and behind %q", e.param("last"), e.param("behind"))
	}
}

// A value that was sent URL-encoded is decoded; one that was not is left alone, unless it is ambiguous.
func FuzzQueryParam(f *testing.F) {
	for _, seed := range []string{"plain", "a+b/c==", "50%", "%41", "a&b=c;d", "\x00ü\xff", "%%2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		// encodeURIComponent, as plugins use it: a space becomes %20.
		encoded := strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		if got := queryParam("a=b&code="+encoded+"&c=d", "code"); got != value {
			t.Errorf("%q, encoded, came back as %q", value, got)
		}
		if strings.ContainsAny(value, "&%") {
			return
		}
		if got := queryParam("a=b&code="+value, "code"); got != value {
			t.Errorf("%q, as it is, came back as %q", value, got)
		}
	})
}

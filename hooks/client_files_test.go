package hooks

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"plugin-oauth/client"
)

// Any page may load the client, whether or not there is a plugin that can be used, and asks again only for
// what has changed.
func TestClientIsServed(t *testing.T) {
	t.Parallel()
	withPlugin, withoutPlugin := serve(t, withKey), serve(t, func(c *Config) { c.Plugin = nil })
	disabled := withPlugin.add("off", func(fields map[string]any) { fields["enabled"] = false })
	for name, at := range map[string]*testServer{
		"at the root":         withPlugin,
		"at a plugin":         withPlugin.add("open", nil),
		"at one switched off": disabled,
		"without a plugin":    withoutPlugin,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := at.in(t)
			script := s.expectFile("/client.js", client.JavaScript)
			if script == s.expectFile("/client.d.ts", client.Types) {
				t.Error("both have the same hash")
			}
		})
	}
}

// expectFile checks that any page may load a file, and returns its ETag.
func (s *testServer) expectFile(path string, content []byte) (etag string) {
	s.T.Helper()
	got := s.Request(http.MethodGet, path, "", "Origin: https://anywhere.example")
	if got.Status != http.StatusOK || got.Body != string(content) {
		s.T.Errorf("%s: %d, %d bytes", path, got.Status, len(got.Body))
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":  "*",
		"Cache-Control":                "no-cache",
		"Cross-Origin-Resource-Policy": "cross-origin",
	} {
		if got.Header.Get(name) != want {
			s.T.Errorf("%s: %s is %q", path, name, got.Header.Get(name))
		}
	}
	etag = got.Header.Get("ETag")
	same := s.Request(http.MethodGet, path, "", "If-None-Match: "+etag)
	s.Expect(path+", not changed", same, http.StatusNotModified, "")
	changed := s.Request(http.MethodGet, path, "", `If-None-Match: "other"`)
	s.Expect(path+", changed", changed, http.StatusOK, string(content))
	return etag
}

// A browser gets the client in the smallest form that it can read, and needs it once.
func TestClientIsCompressed(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for accepted, want := range map[string]string{
		"": "", "identity": "", "deflate": "", "zstd, deflate": "", "br;q=0, gzip;q=0": "", "*;q=0": "",
		"gzip": "gzip", "gzip, deflate": "gzip", "gzip, deflate, br, zstd": "br", "BR": "br", "*": "br",
		"gzip;q=1.0, br;q=0.5": "gzip", "br;q=0, *": "gzip", "br ; q=0.1": "br", "br;q=x, gzip": "gzip",
		"identity, gzip;q=0.5": "", "identity;q=0.5, gzip": "gzip",
	} {
		t.Run(cmp.Or(accepted, "none"), func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			accepts := "Accept-Encoding: " + cmp.Or(accepted, "unknown")
			got := s.Request(http.MethodGet, "/client.js", "", accepts)
			if encoding := got.Header.Get("Content-Encoding"); encoding != want {
				t.Errorf("it is sent with %q, not %q", encoding, want)
			}
			if decode(t, want, got.Body) != string(client.JavaScript) {
				t.Error("it is another file")
			}
			if length := got.Header.Get("Content-Length"); length != strconv.Itoa(len(got.Body)) {
				t.Errorf("its length is said to be %s, and is %d", length, len(got.Body))
			}
			if vary := got.Header.Values("Vary"); !slices.Equal(vary, []string{"Accept-Encoding"}) {
				t.Errorf("it varies by %q", vary)
			}
			s.Expect("head", s.Request(http.MethodHead, "/client.js", "", accepts), http.StatusOK, "")
		})
	}
}

// decode undoes a content coding.
func decode(t *testing.T, encoding, body string) string {
	t.Helper()
	var reader io.Reader = strings.NewReader(body)
	switch encoding {
	case "br":
		reader = brotli.NewReader(reader)
	case "gzip":
		unpacked, err := gzip.NewReader(reader)
		if err != nil {
			t.Fatal(err)
		}
		reader = unpacked
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// A browser that has the client is told so, also where a proxy that compresses has changed the ETag.
func TestClientETagBehindProxies(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	etag := s.Get("/client.js").Header.Get("ETag")
	hash := strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
	for _, sent := range []string{
		etag, `"` + hash + `"`, `W/"` + hash + `-gzip"`, `"` + hash + `-gzip"`, `"` + hash + `;br"`,
		`W/"` + hash + `/zstd"`, `"other", ` + etag, "*",
	} {
		got := s.Request(http.MethodGet, "/client.js", "", "If-None-Match: "+sent, "Accept-Encoding: gzip")
		s.Expect(sent, got, http.StatusNotModified, "")
		if got.Header.Get("ETag") != etag || got.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: it answers with %v", sent, got.Header)
		}
	}
	for _, sent := range []string{`"other"`, `W/"` + hash[1:] + `"`, ""} {
		got := s.Request(http.MethodGet, "/client.js", "", "If-None-Match: "+sent)
		s.Expect(sent, got, http.StatusOK, string(client.JavaScript))
	}
}

// What every plugin loads stays under 4 KB with gzip.
func TestClientIsSmall(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, err = writer.Write(client.JavaScript)
	if err := errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}
	if packed.Len() >= 4096 || len(client.JavaScript) < 1000 {
		t.Errorf("client.js has %d bytes, and %d when packed", len(client.JavaScript), packed.Len())
	}
}

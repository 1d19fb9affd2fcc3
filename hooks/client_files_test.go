package hooks

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"testing"

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

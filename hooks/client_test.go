package hooks

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"

	"plugin-oauth/client"
)

// Any page may load the client, whether or not there is a plugin that can be used, and asks again only for what has changed.
func TestClientIsServed(t *testing.T) {
	t.Parallel()
	one, none := serve(t, withKey), serve(t, func(c *Config) { c.Plugin = nil })
	one.add("open", nil)
	one.add("shut", func(fields map[string]any) { fields["enabled"] = false })
	for _, at := range []struct {
		*relayServer
		prefix string
	}{{one, ""}, {one, "/open"}, {one, "/shut"}, {none, ""}} {
		s := at.relayServer
		for path, content := range map[string][]byte{at.prefix + "/client.js": client.JavaScript, at.prefix + "/client.d.ts": client.Types} {
			got := s.request("GET", path, "", "Origin: https://anywhere.example")
			if got.status != http.StatusOK || !bytes.Equal([]byte(got.body), content) || got.header.Get("Access-Control-Allow-Origin") != "*" ||
				got.header.Get("Cache-Control") != "no-cache" || got.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
				t.Errorf("%s: %d %v", path, got.status, got.header)
			}
			again := s.request("GET", path, "", "If-None-Match: "+got.header.Get("ETag"))
			if again.status != http.StatusNotModified || again.body != "" {
				t.Errorf("%s, not changed: %d", path, again.status)
			}
			if other := s.request("GET", path, "", `If-None-Match: "other"`); other.status != http.StatusOK {
				t.Errorf("%s, changed: %d", path, other.status)
			}
		}
		if js, types := s.get("/client.js"), s.get("/client.d.ts"); js.header.Get("ETag") == types.header.Get("ETag") {
			t.Error("both have the same hash")
		}
	}
}

// What every plugin loads stays under 3 KB with gzip.
func TestClientIsSmall(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	writer.Write(client.JavaScript)
	writer.Close()
	if packed.Len() >= 3000 || len(client.JavaScript) < 1000 {
		t.Errorf("client.js has %d bytes, and %d when packed", len(client.JavaScript), packed.Len())
	}
}

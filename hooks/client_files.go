package hooks

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"time"

	"plugin-oauth/client"
)

// clientFile handles GET /client.js and GET /client.d.ts: the module that a plugin imports, and its types.
// Any page may load them. A browser asks each time whether they have changed; the ETag is a hash of the
// content.
func clientFile(contentType string, content []byte) func(*request) error {
	hash := sha256.Sum256(content)
	etag := `"` + hex.EncodeToString(hash[:16]) + `"`
	return func(e *request) error {
		header := e.Response.Header()
		header.Del("Vary") // it is the same for every origin
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		header.Set("Cache-Control", "no-cache")
		header.Set("Content-Type", contentType)
		header.Set("ETag", etag)
		response := smallCopies{ResponseWriter: e.Response}
		http.ServeContent(response, e.Request, "", time.Time{}, bytes.NewReader(content))
		return nil
	}
}

var (
	clientScript = clientFile("text/javascript; charset=utf-8", client.JavaScript)
	clientTypes  = clientFile("text/plain; charset=utf-8", client.Types)
)

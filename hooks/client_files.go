package hooks

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/andybalholm/brotli"

	"plugin-oauth/client"
)

// clientFile handles GET /client.js and GET /client.d.ts: the module that a plugin imports, and its types.
// Any page may load them. A browser asks each time whether they have changed; the ETag is a hash of the
// content, and weak, since it is the same however the content is compressed.
func clientFile(contentType string, content []byte) func(*request) error {
	hash := sha256.Sum256(content)
	id := hex.EncodeToString(hash[:16])
	etag := `W/"` + id + `"`
	encoded := sync.OnceValue(func() map[string][]byte { return compress(content) })
	return func(e *request) error {
		header := e.Response.Header()
		header.Set("Vary", "Accept-Encoding") // it is the same for every origin
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
		header.Set("Cache-Control", "no-cache")
		header.Set("Content-Type", contentType)
		header.Set("ETag", etag)
		body := content
		if encoding := chooseEncoding(e.Request.Header.Values("Accept-Encoding")); encoding != "" {
			body = encoded()[encoding]
			header.Set("Content-Encoding", encoding)
			header.Set("Content-Length", strconv.Itoa(len(body))) // ServeContent leaves it out
		}
		// A proxy that compresses puts its own mark behind the hash, such as Apache's -gzip.
		if strings.Contains(e.Request.Header.Get("If-None-Match"), id) {
			e.Request.Header.Set("If-None-Match", etag)
		}
		e.Request.Header.Del("Range") // nobody needs a part of 10 KB
		response := smallCopies{ResponseWriter: e.Response}
		http.ServeContent(response, e.Request, "", time.Time{}, bytes.NewReader(body))
		return nil
	}
}

var (
	clientScript = clientFile("text/javascript; charset=utf-8", client.JavaScript)
	clientTypes  = clientFile("text/plain; charset=utf-8", client.Types)
)

// encodings are the content codings that files are sent with, the smallest first (RFC 9110 section 8.4.1, RFC
// 7932).
var encodings = []string{"br", "gzip"}

// compress returns the content in each of the encodings.
func compress(content []byte) map[string][]byte {
	var br, gz bytes.Buffer
	toGzip, _ := gzip.NewWriterLevel(&gz, gzip.BestCompression) // it fails for unknown levels only
	for _, writer := range []io.WriteCloser{brotli.NewWriterLevel(&br, brotli.BestCompression), toGzip} {
		_, _ = writer.Write(content) // a buffer takes everything
		_ = writer.Close()
	}
	return map[string][]byte{"br": br.Bytes(), "gzip": gz.Bytes()}
}

// maxAcceptEncoding bounds the header Accept-Encoding, in bytes. One that is longer is not read: what it
// names takes ten times as long as the rest of the request.
const maxAcceptEncoding = 500

// chooseEncoding returns the first of the encodings that a client accepts most (RFC 9110 section 12.5.3), or
// "" if it accepts none of them, or the content as it is rather than any.
func chooseEncoding(accepted []string) string {
	all := strings.Join(accepted, ",")
	if len(all) > maxAcceptEncoding {
		return ""
	}
	weights := map[string]float64{}
	for item := range strings.SplitSeq(all, ",") {
		name, parameters, _ := strings.Cut(item, ";")
		name, weight := strings.ToLower(strings.TrimSpace(name)), 1.0
		if q, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q="); found {
			weight, _ = strconv.ParseFloat(q, 64) // what cannot be read is not accepted
		}
		weights[name] = weight
	}
	best, most := "", weights["identity"]
	for _, encoding := range encodings {
		weight, named := weights[encoding]
		if !named {
			weight = weights["*"]
		}
		if weight > most || weight == most && weight > 0 && best == "" {
			best, most = encoding, weight
		}
	}
	return best
}

package hooks

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"strings"

	"github.com/pocketbase/pocketbase/core"
)

// maxBody bounds a request body, in bytes. A refresh token is the largest thing that a plugin sends.
const maxBody = 64 << 10

// param returns the first of the named parameters that the request carries, from the query, else from the body:
// a JSON object, or a form of either kind. It is blank if there is none.
func param(e *core.RequestEvent, names ...string) string {
	if value := queryParam(e.Request.URL.RawQuery, names...); value != "" {
		return value
	}
	return bodyParam(e, names...)
}

// queryParam reads one parameter leniently. Deployed plugins send refresh tokens that were never URL-encoded, and
// url.ParseQuery drops a pair with a stray % or ; in it. Here each %XX that decodes is decoded, and the rest stays
// as it stands. That includes +, since no code, key or token has a space in it, but Base64 does have a plus.
func queryParam(raw string, names ...string) string {
	for _, name := range names {
		for pair := range strings.SplitSeq(raw, "&") {
			key, value, _ := strings.Cut(pair, "=")
			if value != "" && unescape(key) == name {
				return unescape(value)
			}
		}
	}
	return ""
}

// unescape decodes each valid %XX (RFC 3986 section 2.1) and leaves everything else alone.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if octet, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.Write(octet)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func bodyParam(e *core.RequestEvent, names ...string) string {
	contentType, _, _ := mime.ParseMediaType(e.Request.Header.Get("Content-Type"))
	if contentType == "multipart/form-data" {
		e.Request.Body = io.NopCloser(io.LimitReader(e.Request.Body, maxBody))
		// A form that is cut off or malformed yields the fields before the fault.
		_ = e.Request.ParseMultipartForm(maxBody)
		for _, name := range names {
			if value := e.Request.PostFormValue(name); value != "" {
				return value
			}
		}
		return ""
	}
	body, err := io.ReadAll(io.LimitReader(e.Request.Body, maxBody))
	if err != nil {
		return ""
	}
	// fetch labels a string body text/plain, so the body itself tells what it is.
	if !strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
		return queryParam(string(body), names...)
	}
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return ""
	}
	for _, name := range names {
		if value, ok := object[name].(string); ok && value != "" {
			return value
		}
	}
	return ""
}

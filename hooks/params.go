package hooks

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/json/jsontext"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"plugin-oauth/views"
)

// maxBody bounds a request body, in bytes: 64 KB. A refresh token is the largest thing that a plugin sends,
// and in a form each of its bytes may be encoded as three.
const maxBody = 3*maxRefreshToken + 4<<10

// maxParams bounds the parameters that are read of a query or a body. The rest is left alone: it would only
// cost time and memory.
const maxParams = 100

// param returns the first of the named parameters that the request carries, from the query, else from the
// body: a JSON object, or a form of either kind. A number in JSON stands for its digits. It is blank if there
// is none.
func (e *request) param(names ...string) string {
	if value := queryParam(e.Request.URL.RawQuery, names...); value != "" {
		return value
	}
	return e.bodyParam(names...)
}

// queryParam reads one parameter leniently. Deployed plugins send refresh tokens that were never URL-encoded,
// and url.ParseQuery drops a pair with a stray % or ; in it. Here each %XX that decodes is decoded, and the
// rest stays as it stands. That includes +, since no code, key or token has a space in it, but Base64 does
// have a plus.
func queryParam(raw string, names ...string) string {
	for _, name := range names {
		pairs := 0
		for pair := range strings.SplitSeq(raw, "&") {
			if pairs++; pairs > maxParams {
				break
			}
			key, value, _ := strings.Cut(pair, "=")
			canBe := value != "" && len(key) <= 3*len(name) // each of its bytes may be encoded as three
			if canBe && unescape(key) == name {
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

func (e *request) bodyParam(names ...string) string {
	if e.bodyParams == nil {
		e.bodyParams = e.bodyReader()
	}
	for _, name := range names {
		if value := e.bodyParams(name); value != "" {
			return value
		}
	}
	return ""
}

// forgetBody gives up the body, which would stay as long as the request takes, or as long as its client reads
// the answer. It counts with its connection no longer.
func (e *request) forgetBody() {
	e.body, e.bodyParams = nil, nil
	countMore(e.Request, -e.bodyMemory)
	e.bodyMemory = 0
}

// countBody counts the body with its connection, as so many KB more.
func (e *request) countBody(memory int) {
	e.bodyMemory += memory
	countMore(e.Request, memory)
}

// maxContentType bounds the header Content-Type, in bytes. One that is longer is not read.
const maxContentType = 500

// mediaType returns what the body is, with its parameters (RFC 9110 section 8.3.1).
func (e *request) mediaType() (mediaType string, params map[string]string) {
	contentType := e.Request.Header.Get("Content-Type")
	if len(contentType) > maxContentType {
		return "", nil
	}
	mediaType, params, _ = mime.ParseMediaType(contentType)
	return mediaType, params
}

// bodyReader decodes the body once, and returns what reads the parameters in it.
func (e *request) bodyReader() (read func(name string) string) {
	mediaType, params := e.mediaType()
	switch {
	case mediaType == "multipart/form-data":
		values := multipartParams(e.body, params["boundary"])
		return func(name string) string { return values[name] }
	case isObject(e.body):
		values := jsonParams(e.body)
		return func(name string) string { return values[name] }
	default:
		form := string(e.body) // all of which a value would keep in memory
		return func(name string) string { return strings.Clone(queryParam(form, name)) }
	}
}

// isObject reports whether a body is a JSON object. fetch labels a string body text/plain, so the body itself
// tells.
func isObject(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) }

const (
	// maxPartLines bounds the lines that are read of a form with parts. Browsers send four for each part, and
	// each line of a part's headers takes as long to read as a kilobyte of text.
	maxPartLines = 10 * maxParams

	// maxDisposition bounds the header Content-Disposition of a part, in parameters. One that has more is not
	// read: each takes half a microsecond. Browsers send a name, and of a file another one.
	maxDisposition = 3
)

// multipartParams returns the parameters of a form with parts (RFC 7578), but for its files.
func multipartParams(body []byte, boundary string) map[string]string {
	values := map[string]string{}
	parts := multipart.NewReader(bytes.NewReader(firstLines(body, maxPartLines)), boundary)
	for range maxParams {
		part, err := parts.NextPart()
		if err != nil {
			break
		}
		if strings.Count(part.Header.Get("Content-Disposition"), ";") > maxDisposition {
			continue
		}
		value, err := io.ReadAll(part)
		if name := part.FormName(); err == nil && part.FileName() == "" && values[name] == "" {
			values[name] = string(value)
		}
	}
	return values
}

// firstLines returns so many lines of a text, or all if it has not as many.
func firstLines(text []byte, count int) []byte {
	end := 0
	for range count {
		length := bytes.IndexByte(text[end:], '\n') + 1
		if length == 0 {
			return text
		}
		end += length
	}
	return text[:end]
}

// jsonParams returns the parameters in a JSON object. There are none if it is malformed, or has more objects
// and arrays in it than anything that a plugin sends: those take the longest to read.
func jsonParams(body []byte) map[string]string {
	if bytes.Count(body, []byte("{"))+bytes.Count(body, []byte("[")) > maxParams {
		return nil
	}
	lenient := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	if !jsontext.Value(body).IsValid(lenient...) {
		return nil
	}
	values := map[string]string{}
	object := jsontext.NewDecoder(bytes.NewReader(body), lenient...)
	_, _ = object.ReadToken() // the brace; nothing fails, since the body is valid
	for range maxParams {
		if object.PeekKind() != '"' {
			break
		}
		token, _ := object.ReadToken()
		name := token.String()
		value, _ := object.ReadValue()
		values[name] = stringOrDigits(json.RawMessage(value))
	}
	return values
}

// stringOrDigits returns a string of JSON, or the digits of a number as they stand: a float would round those
// of a long key. It is blank for anything else.
func stringOrDigits(raw json.RawMessage) (value string) {
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return string(raw)
	}
	if json.Unmarshal(raw, &value) != nil {
		return ""
	}
	return value
}

var (
	errBodyTooLarge = &responseError{
		Status: http.StatusRequestEntityTooLarge,
		Code:   "invalid_request",
		Description: "The request's body has more than " + strconv.Itoa(maxBody) +
			" bytes, so it was not read.",
		person: views.Words.NotRead,
	}
	errBodyTooSlow = &responseError{
		Status:      http.StatusRequestTimeout,
		Code:        "invalid_request",
		Description: "The body of the request did not arrive in time, or not as a whole.",
		person:      views.Words.NotRead,
	}
)

// smallBody is what each connection may have of a body while it waits for the rest, in bytes: 16 KB.
const smallBody = 16 << 10

// unknownBody is what a body of unknown length takes until it is large, in KB: its buffer grows with it.
const unknownBody = 24

// largeBodyMemory is what each byte of a large body takes once it has been read, with the copy of it whose
// parameters are read.
const largeBodyMemory = 2

// largeBodies bounds the bodies that are being read and are larger. Only a token of an unusual provider is:
// 128 of them take 8 MB.
var largeBodies = bounds{network: 16, inAll: 128}

// readBody reads the whole body. It fails with errBodyTooLarge or errBodyTooSlow, or if too many large ones
// are being read, and then the connection is closed after the answer. Every request's body is read, needed or
// not: until then net/http neither answers nor notices that a client has left.
func (s *server) readBody(e *request) error {
	if e.Request.ContentLength == 0 {
		return nil
	}
	// If the connection has no deadlines, the server's own still applies.
	connection := http.NewResponseController(e.Response)
	_ = connection.SetReadDeadline(time.Now().Add(s.config.timing.body))
	body, err := s.readAll(e)
	if err != nil {
		// Otherwise net/http would wait for the rest before it answers.
		e.Response.Header().Set("Connection", "close")
		return err
	}
	_ = connection.SetReadDeadline(time.Time{})
	e.body = body
	return nil
}

// readAll reads a body. It counts with its connection, as if all of it were there. One of unknown length
// counts as small until it is large, and a large one once it has been read: until then it is one of few, but
// any number may be in memory while something else takes long, such as a client that reads slowly.
func (s *server) readAll(e *request) (body []byte, err error) {
	switch length := e.Request.ContentLength; {
	case length < 0:
		e.countBody(unknownBody)
		body, err = io.ReadAll(io.LimitReader(e.Request.Body, smallBody+1))
		if err != nil {
			return nil, errBodyTooSlow
		}
		if len(body) <= smallBody {
			return body, nil
		}
	case length <= smallBody:
		e.countBody(int(length) >> 10)
		body = make([]byte, length) // to let it grow as it comes would leave as much behind, twice
		if _, err = io.ReadFull(e.Request.Body, body); err != nil {
			return nil, errBodyTooSlow
		}
		return body, nil
	}
	leave, err := s.bodyGate.enter(s.clientNetwork(e), "")
	if err != nil {
		e.setRetryAfter(retryBusy)
		return nil, err
	}
	defer leave()
	rest, err := io.ReadAll(io.LimitReader(e.Request.Body, int64(maxBody+1-len(body))))
	switch body = append(body, rest...); {
	case err != nil:
		return nil, errBodyTooSlow
	case len(body) > maxBody:
		return nil, errBodyTooLarge
	}
	e.countBody(largeBodyMemory * len(body) >> 10)
	return body, nil
}

package hooks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json/v2"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/views"
)

// fixedHeaders are sent with every answer, so that it is not cached, sniffed or framed, and sends no
// referrer. All answers share them, so they must not be changed.
var fixedHeaders = http.Header{
	"Cache-Control":           {"no-store"},
	"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
	"Referrer-Policy":         {"no-referrer"},
	"X-Content-Type-Options":  {"nosniff"},
	"X-Frame-Options":         {"DENY"},
	"Vary":                    {"Origin"},
}

// setHeaders sets the fixed headers, and lets a page of an allowed origin read the answer, errors and
// preflights (Fetch standard, CORS protocol) included.
func (s *server) setHeaders(e *request, found route) {
	header := e.Response.Header()
	maps.Copy(header, fixedHeaders)
	// Only where this server itself terminates TLS. On localhost it would break every other server under
	// development (RFC 6797 section 12.1).
	if host, _, _ := strings.Cut(e.Request.Host, ":"); e.Request.TLS != nil && host != "localhost" {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
	origin := e.Request.Header.Get("Origin")
	if !s.allows(e.plugin, origin) {
		return
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if e.Request.Method != http.MethodOptions {
		header.Set("Access-Control-Expose-Headers", found.exposedHeaders())
		return
	}
	header.Set("Access-Control-Allow-Methods", found.allowedMethods())
	requested := e.Request.Header.Get("Access-Control-Request-Headers")
	if requested != "" && len(requested) <= maxRequestedHeaders {
		header.Set("Access-Control-Allow-Headers", requested)
	}
	header.Set("Access-Control-Max-Age", "86400")
}

// maxRequestedHeaders bounds the names of headers that a preflight may ask for, in bytes. Plugins send a
// handful of headers. An answer that repeats much stays in memory as long as it is read slowly.
const maxRequestedHeaders = 2 << 10

// exposedHeaders are the headers of an answer that a page may read.
func (r route) exposedHeaders() string {
	if r.streams {
		return "*"
	}
	return "Retry-After"
}

// allowedMethods are the methods that a page may use.
func (r route) allowedMethods() string {
	if r.streams {
		return "GET, HEAD, POST, PUT, PATCH, DELETE"
	}
	return "GET, HEAD, POST"
}

// allows reports whether a page may read the answers to its requests. At an address that is no plugin's, the
// pages of all plugins may: it is misspelled, and the answer says so.
func (s *server) allows(plugin *plugins.Plugin, origin string) bool {
	if plugin != nil || origin == "" {
		return plugin.Allows(origin)
	}
	if s.config.Plugin.Allows(origin) {
		return true
	}
	records, err := s.records.All()
	if err != nil {
		return false
	}
	for _, plugin := range records {
		if plugin.Allows(origin) {
			return true
		}
	}
	return false
}

// isPreflight reports whether a browser asks whether a page may send a request.
func (e *request) isPreflight() bool {
	header := e.Request.Header
	return e.Request.Method == http.MethodOptions && header.Get("Origin") != "" &&
		header.Get("Access-Control-Request-Method") != ""
}

// pluginName is what pages call the plugin. If it is blank, they leave it out.
func (e *request) pluginName() string {
	if e.plugin == nil {
		return ""
	}
	return cmp.Or(e.plugin.Name, e.plugin.Slug)
}

func (e *request) returnApp() string {
	if e.plugin == nil {
		return plugins.DefaultReturnApp
	}
	return e.plugin.ReturnApp
}

// returnURL is where the button to return leads. It is blank if there is none, or if it is not valid, as with
// a plugin that cannot be used.
func (e *request) returnURL() string {
	if e.plugin == nil || !plugins.IsReturnURL(e.plugin.ReturnURL) {
		return ""
	}
	return e.plugin.ReturnURL
}

// language is what the person reads, as the browser says.
func (e *request) language() views.Language {
	return views.LanguageFor(e.Request.Header.Get("Accept-Language"))
}

// writeResult answers with the page of a result.
func (e *request) writeResult(status int, result views.Result) error {
	result.Plugin, result.ReturnApp, result.ReturnURL = e.pluginName(), e.returnApp(), e.returnURL()
	language := e.language()
	return e.renderPage(status, language, views.ShowResult(language, result), noForm)
}

// formAction is where the form of a page may be sent (CSP level 3).
type formAction string

const (
	noForm   formAction = "'none'"
	formHere formAction = "'self'"
)

// renderPage renders the page of an answer, with a nonce for its style and script (CSP level 3). People need
// one page, and a connection whose reader is slow would keep much memory until it is closed. For the same
// reason the page is written by sendPage only: by then all that it was made of is forgotten.
func (e *request) renderPage(
	status int, language views.Language, page templ.Component, action formAction,
) error {
	nonce := rand.Text()
	header := e.Response.Header()
	header.Add("Vary", "Accept-Language")
	header.Set("Content-Language", language.Tag())
	header.Set("Connection", "close")
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+nonce+"'; script-src "+
		"'nonce-"+nonce+
		"'; img-src data:; base-uri 'none'; form-action "+string(action)+"; frame-ancestors 'none'")
	var rendered bytes.Buffer
	if err := page.Render(templ.WithNonce(context.Background(), nonce), &rendered); err != nil {
		return err
	}
	e.status, e.page = status, bytes.Clone(rendered.Bytes()) // without the room to grow
	return nil
}

// sendPage answers with a page that was rendered. It counts with its connection, as the request does, until
// all of it has been taken.
func sendPage(w http.ResponseWriter, r *http.Request, status int, page []byte) {
	countMore(r, pageMemory*len(page)>>10)
	w.Header().Set("Content-Length", strconv.Itoa(len(page)))
	w.WriteHeader(status)
	_, _ = w.Write(page) // it fails only if the client has left, as the next does
	_ = http.NewResponseController(w).Flush()
}

// writeJSON answers with JSON. Version 2 of the package leaves the & of an authorization URL alone.
func (e *request) writeJSON(status int, answer any) error {
	e.forgetBody()
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	e.Response.Header().Set("Content-Type", "application/json")
	e.Response.WriteHeader(status)
	_, err = e.Response.Write(body)
	return err
}

// writeText answers with one line.
func (e *request) writeText(status int, line string) error {
	e.forgetBody()
	e.Response.Header().Set("Content-Type", "text/plain; charset=utf-8")
	e.Response.WriteHeader(status)
	_, err := e.Response.Write([]byte(line + "\n"))
	return err
}

// writeTokens answers with the provider's bytes, in which the tokens may be sealed for the plugin, and
// reports whether they could be sent. With its length the answer is complete once it is flushed, before the
// database records it.
func (e *request) writeTokens(tokens []byte) error {
	if len(tokens) > usualAnswer {
		countMore(e.Request, answerMemory*len(tokens)>>10)
	}
	e.Response.Header().Set("Content-Type", "application/json")
	e.Response.Header().Set("Content-Length", strconv.Itoa(len(tokens)))
	e.Response.WriteHeader(http.StatusOK)
	if _, err := e.Response.Write(tokens); err != nil {
		return err
	}
	return http.NewResponseController(e.Response).Flush()
}

// Bare is the yardstick of the bench: net/http, and a map in place of everything that plugin-oauth does. It
// is a program of its own because even packages that are linked and never used cost a server CPU time. Its
// argument is the address that it listens on.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"

	"plugin-oauth/examples/bench/tokens"
)

func main() {
	var mu sync.RWMutex
	byState, byReadKey := map[string]string{}, map[string]string{} // read keys; tokens, blank while pending
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /authorize", func(w http.ResponseWriter, _ *http.Request) {
		state, readKey := rand.Text(), rand.Text()
		mu.Lock()
		byState[state], byReadKey[readKey] = readKey, ""
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		const login = `{"url":"https://provider.example/authorize?client_id=bench&state=%s","readKey":%q}`
		fmt.Fprintf(w, login, state, readKey)
	})
	mux.HandleFunc("GET /redirect", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		byReadKey[byState[r.FormValue("state")]] = tokens.For(r.FormValue("code"))
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>You are signed in</title>You are signed in")
	})
	mux.HandleFunc("POST /poll", func(w http.ResponseWriter, r *http.Request) {
		mu.RLock()
		response, found := byReadKey[r.FormValue("readKey")]
		mu.RUnlock()
		w.Header().Set("Content-Type", "application/json")
		if !found || response == "" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error":"authorization_pending"}`)
			return
		}
		io.WriteString(w, response)
	})
	mux.HandleFunc("POST /refresh", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, tokens.For(""))
	})
	mux.Handle("/fetch/", newProxy(os.Getenv("API_HOSTS")))
	fmt.Fprintln(os.Stderr, http.ListenAndServe(os.Args[1], mux))
	os.Exit(1)
}

// newProxy returns a proxy of an API, which /fetch/ and its host lead to.
func newProxy(api string) http.Handler {
	target, err := url.Parse(api)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return http.StripPrefix("/fetch/"+target.Host, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
	})
}

package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// serveBare is the yardstick: net/http, and a map in place of everything that plugin-oauth does.
func serveBare(address string) error {
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
		fmt.Fprintf(w, `{"url":"https://provider.example/authorize?client_id=bench&state=%s","readKey":%q}`, state, readKey)
	})
	mux.HandleFunc("GET /redirect", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		byReadKey[byState[r.FormValue("state")]] = tokenResponse
		mu.Unlock()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>You are signed in</title>You are signed in")
	})
	mux.HandleFunc("POST /poll", func(w http.ResponseWriter, r *http.Request) {
		mu.RLock()
		tokens, found := byReadKey[r.FormValue("readKey")]
		mu.RUnlock()
		w.Header().Set("Content-Type", "application/json")
		if !found || tokens == "" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error":"authorization_pending"}`)
			return
		}
		io.WriteString(w, tokens)
	})
	mux.HandleFunc("POST /refresh", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, tokenResponse)
	})
	return http.ListenAndServe(address, mux)
}

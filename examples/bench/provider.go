package main

import (
	"io"
	"net"
	"net/http"
	"strings"

	"plugin-oauth/examples/bench/tokens"
)

// apiPath is the address of the provider's API, and apiAnswer its answer.
const apiPath = "/v1/search?page_size=20"

var apiAnswer = `{"object":"list","results":[` +
	strings.Repeat(`{"object":"page","id":"0123456789abcdef","title":"A page of some title"},`, 56) + `null]}`

// serveProvider answers every token request at once, and every call of its API. It returns its host.
func serveProvider() (host string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, tokens.For(r.FormValue("code")))
	})
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "0123456789abcdef")
		io.WriteString(w, apiAnswer)
	})
	go http.Serve(listener, mux)
	return strings.Replace(listener.Addr().String(), "127.0.0.1", "localhost", 1), nil
}

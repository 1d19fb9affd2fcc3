package main

import (
	"io"
	"net"
	"net/http"

	"plugin-oauth/examples/bench/tokens"
)

// serveProvider answers every token request at once, and returns the token endpoint.
func serveProvider() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, tokens.For(r.FormValue("code")))
	}))
	return "http://" + listener.Addr().String() + "/token", nil
}

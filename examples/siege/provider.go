package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// The provider does what the beginning of a code or a refresh token says.
const (
	goodToken  = "good"  // it answers with tokens, and with a new refresh token that is good
	junkToken  = "junk"  // it refuses it as invalid_grant
	faultToken = "fault" // it answers 500
	pageToken  = "page"  // it answers 200 with a page of HTML
	hangToken  = "hang"  // it does not answer while the client waits
)

// provider is the OAuth provider of the siege.
type provider struct {
	server *http.Server
	url    string

	// junk counts the refreshes of junk that have reached it, and hanging is how many it does not answer now.
	junk, hanging atomic.Int64

	issued atomic.Int64
}

func serveProvider() (*provider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &provider{url: "http://" + listener.Addr().String()}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve)}
	go p.server.Serve(listener)
	return p, nil
}

// apiPath is where the provider has an API. It refuses no token.
const apiPath = "/api"

// apiHost is the host of the API. The service calls none of this machine but by this name.
func (p *provider) apiHost() string {
	return strings.Replace(p.url, "http://127.0.0.1", "localhost", 1)
}

func (p *provider) close() { p.server.Close() }

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == apiPath {
		io.WriteString(w, "the API's answer")
		return
	}
	refreshToken := r.PostFormValue("refresh_token")
	behavior, _, _ := strings.Cut(refreshToken+r.PostFormValue("code"), "-")
	w.Header().Set("Content-Type", "application/json")
	switch behavior {
	case goodToken:
		fmt.Fprintf(w, `{"access_token":"AT","token_type":"bearer","refresh_token":"%s-%d"}`,
			goodToken, p.issued.Add(1))
	case faultToken:
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, `{"error":"server_error"}`)
	case pageToken:
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<h1>Down for maintenance</h1>")
	case hangToken:
		p.hanging.Add(1)
		defer p.hanging.Add(-1)
		<-r.Context().Done()
	default:
		if behavior == junkToken && refreshToken != "" {
			p.junk.Add(1)
		}
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
	}
}

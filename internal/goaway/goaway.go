// Package goaway is a server for tests that sends each request back.
package goaway

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Server is a server that speaks HTTP/2 and says of each request that it has not processed it (RFC 9113
// section 6.8).
type Server struct {
	// URL is where it listens, with https.
	URL string

	// TLS is the configuration of a client that trusts it.
	TLS *tls.Config

	// Requests is how many have come.
	Requests atomic.Int64
}

// Frames of RFC 9113, with a header of 9 bytes (section 4.1).
const (
	frameHeader = 9
	headers     = 1
	settings    = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	// That no stream was processed, and that there was no error.
	goAway = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// Serve starts a server, which runs until the test ends.
func Serve(t testing.TB) *Server {
	t.Helper()
	s := &Server{}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{NextProtos: []string{"h2"}}
	server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, conn *tls.Conn, _ http.Handler) { s.serve(conn) },
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.URL = server.URL
	s.TLS = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	return s
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	if _, err := reader.Discard(len(preface)); err != nil {
		return
	}
	if _, err := io.WriteString(conn, settings); err != nil {
		return
	}
	for {
		var header [frameHeader]byte
		if _, err := io.ReadFull(reader, header[:]); err != nil {
			return
		}
		length := binary.BigEndian.Uint32(header[:4]) >> 8
		if _, err := reader.Discard(int(length)); err != nil {
			return
		}
		if header[3] != headers {
			continue
		}
		s.Requests.Add(1)
		if _, err := io.WriteString(conn, goAway); err != nil {
			return
		}
	}
}

package doctor

import (
	"encoding/json/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// publicFront is a proxy at https://backend.example, which changes a request and its answer, in front of a
// service that trusts some headers.
type publicFront struct {
	trusted []string
	server  string                   // what it calls itself
	change  func(header http.Header) // what it does with what visitors send; nil: nothing
	self    Self
}

// RoundTrip answers requests to the proxy. Others go to their servers.
func (f publicFront) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "backend.example" {
		return http.DefaultTransport.RoundTrip(r)
	}
	recorder, header := httptest.NewRecorder(), r.Header.Clone()
	if f.change != nil {
		f.change(header)
	}
	self := f.self
	self.Service, self.Plugin = ServiceName, true
	for _, name := range f.trusted {
		if header.Get(name) == ProbeAddress.String() {
			self.BelievedProbe = name
		}
	}
	recorder.Header().Set("Server", f.server)
	err := json.MarshalWrite(recorder, self)
	return recorder.Result(), err
}

// The doctor tries whether a made-up address gets through the proxy, and says what well-known proxies need.
func TestFront(t *testing.T) {
	t.Parallel()
	provider := serveProvider(t, refusingCode)
	overwrite := func(header http.Header) { header.Set("X-Real-IP", "198.51.100.7") }
	trusted := []string{"x-real-ip"}
	for name, test := range map[string]struct {
		front publicFront
		onFly bool
		want  string
	}{
		"overwritten":     {front: publicFront{trusted: trusted, server: "nginx", change: overwrite}},
		"nothing trusted": {front: publicFront{}},
		"Fly": {front: publicFront{trusted: []string{flyClientIP}, change: removeProbe},
			onFly: true},
		"as it was sent": {front: publicFront{trusted: trusted, server: "nginx"},
			want: believed("x-real-ip")},
		"sent, and missing": {front: publicFront{trusted: trusted, self: missing},
			want: believed("x-real-ip")},
		"missing": {front: publicFront{trusted: trusted, change: removeProbe, self: missing},
			want: lines([]Finding{UnknownNetwork(UnknownMissing)})[0]},
		"Apache": {front: publicFront{trusted: trusted, server: "Apache/2.4", change: overwrite},
			want: "hint : Apache needs a worker for each poll that waits, and has 150 of them by default. " +
				"Raise MaxRequestWorkers, and ServerLimit with it, as docs/proxies.md shows."},
		"without a name": {front: publicFront{trusted: trusted, change: overwrite},
			want: "hint : A proxy that does not say its name is in front of the service. " +
				"If it is HAProxy, set option abortonclose, as docs/proxies.md shows."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: "https://backend.example", provider: provider})
			s.options.Transport = test.front
			s.options.TrustedProxyHeaders, s.options.OnFly = test.front.trusted, test.onFly
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, s.check(t), want...)
		})
	}
}

var missing = Self{UnknownNetwork: UnknownMissing}

func removeProbe(header http.Header) {
	header.Del("X-Real-IP")
	header.Del(flyClientIP)
}

func believed(header string) string { return lines([]Finding{believesAnybody(header)})[0] }

// A service that listens on this machine, at a public address, has something in front that hides its
// visitors, even if the doctor cannot ask it.
func TestHiddenVisitors(t *testing.T) {
	t.Parallel()
	provider := serveProvider(t, refusingCode)
	nobody := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "backend.example" {
			return nil, &url.Error{Op: "Get", URL: "x", Err: http.ErrServerClosed}
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	const silent = "warning /: Nothing answers at https://backend.example, where logins end. " +
		"Check that the service is running, and that REDIRECT_URI leads here."
	hidden := UnknownNetwork(UnknownPrivate)
	hidden.What = "The service listens on this machine only, its address is public, and no header of a " +
		"proxy is trusted."
	for name, test := range map[string]struct {
		transport http.RoundTripper
		trusted   []string
		want      []string
	}{
		"nobody answers":      {transport: nobody, want: append(lines([]Finding{hidden}), silent)},
		"a header is trusted": {transport: nobody, trusted: []string{"X-Real-IP"}, want: []string{silent}},
		"the answer says more": {transport: publicFront{self: Self{UnknownNetwork: UnknownPrivate}},
			want: lines([]Finding{UnknownNetwork(UnknownPrivate)})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: "https://backend.example", provider: provider})
			s.options.Transport, s.options.TrustedProxyHeaders = test.transport, test.trusted
			s.options.HidesVisitors = true
			expectFindings(t, s.check(t), test.want...)
		})
	}
}

// Where a proxy serves the service below a path, that is asked, with a slash behind. A proxy that leaves the
// path in the addresses is told from another program.
func TestPathInFront(t *testing.T) {
	t.Parallel()
	provider := serveProvider(t, refusingCode)
	inner, err := url.Parse(serveSelf(t))
	if err != nil {
		t.Fatal(err)
	}
	kept := false
	proxy := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "backend.example" {
			return http.DefaultTransport.RoundTrip(r)
		}
		if r.URL.Path != "/oauth/" || kept {
			recorder := httptest.NewRecorder()
			recorder.WriteHeader(http.StatusNotFound)
			_, err := recorder.WriteString(`{"error":"not_found","error_description":"` +
				KeptPrefix("/oauth") + `"}`)
			return recorder.Result(), err
		}
		passed := r.Clone(r.Context())
		passed.URL.Scheme, passed.URL.Host, passed.URL.Path = inner.Scheme, inner.Host, "/"
		return http.DefaultTransport.RoundTrip(passed)
	})
	check := func(want ...string) {
		t.Helper()
		s := newSetup(t, addresses{self: "https://backend.example/oauth", provider: provider})
		s.options.PublicURL, s.options.Transport = "https://backend.example/oauth", proxy
		expectFindings(t, s.check(t), want...)
	}
	check()
	kept = true
	check("error : The proxy leaves /oauth in the addresses that it passes on. " +
		"Have the proxy take /oauth away, as docs/proxies.md shows for each.")
}

package hooks

import (
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/hooks/doctor"
)

// GET / names the header that it does not believe, unless a trusted one came too. It never names one with
// which everybody would count as one network.
func TestUntrustedProxyHeader(t *testing.T) {
	t.Parallel()
	trusting := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"fly-client-ip"} })
	trustless := serve(t, nil)
	public := serve(t, func(c *Config) { c.PublicURL = "https://backend.example" })
	const (
		fly        = "Fly-Client-IP: 192.0.2.1"
		cloudflare = "CF-Connecting-IP: 192.0.2.1"
		akamai     = "True-Client-IP: 192.0.2.1"
		forwarded  = "X-Forwarded-For: 192.0.2.1"
		realIP     = "X-Real-IP: 192.0.2.1"
	)
	for _, test := range []struct {
		name    string
		at      *testServer
		headers []string
		want    string // the header that is not believed; blank: none
		lost    doctor.Unknown
	}{
		{name: "Fly", at: trustless, headers: []string{fly}, want: "Fly-Client-IP"},
		{name: "Cloudflare", at: trustless, headers: []string{cloudflare}, want: "CF-Connecting-IP"},
		{name: "Akamai", at: trustless, headers: []string{akamai}, want: "True-Client-IP"},
		{name: "nginx", at: trustless, headers: []string{realIP}, want: "X-Real-IP"},
		{name: "forwarded for", at: trustless, headers: []string{forwarded}, want: "X-Forwarded-For"},
		{name: "RFC 7239", at: trustless, headers: []string{"Forwarded: for=192.0.2.1"}, want: "Forwarded"},
		{name: "two", at: trustless, headers: []string{forwarded, realIP}, want: "X-Real-IP"},
		{name: "two, one private", at: trustless, headers: []string{forwarded, "X-Real-IP: 10.0.0.1"},
			want: "X-Forwarded-For"},
		{name: "private", at: trustless, headers: []string{forwarded + ", 10.0.0.1"},
			lost: doctor.UnknownUntrusted},
		{name: "a carrier's", at: trustless, headers: []string{"X-Forwarded-For: 100.64.0.3"},
			lost: doctor.UnknownUntrusted},
		{name: "a container's", at: trustless, headers: []string{"X-Real-IP: 198.19.249.2"},
			lost: doctor.UnknownUntrusted},
		{name: "a balancer's list", at: trustless, headers: []string{forwarded + ", 34.8.0.1"},
			lost: doctor.UnknownUntrusted},
		{name: "a list, RFC 7239", at: trustless, headers: []string{"Forwarded: for=192.0.2.1, for=34.8.0.1"},
			lost: doctor.UnknownUntrusted},
		{name: "two proxies", at: trusting, headers: []string{fly, "CF-Connecting-IP: 198.51.100.7"},
			lost: doctor.UnknownSeveral},
		{name: "hidden", at: trustless, headers: []string{"Forwarded: for=_hidden"},
			lost: doctor.UnknownUntrusted},
		{name: "not RFC 7239", at: trustless, headers: []string{"Forwarded: 192.0.2.1"},
			lost: doctor.UnknownUntrusted},
		{name: "no address", at: trustless, headers: []string{"X-Forwarded-Proto: https"},
			lost: doctor.UnknownUntrusted},
		{name: "trusted, but unknown", at: trusting, headers: []string{"Fly-Client-IP: unknown"},
			lost: doctor.UnknownUnreadable},
		{name: "trusted, but missing", at: trusting, lost: doctor.UnknownMissing},
		{name: "from this machine", at: public, lost: doctor.UnknownPrivate},
		{name: "none", at: trustless},
		{name: "unknown", at: trustless, headers: []string{"X-Client: 192.0.2.1"}},
		{name: "trusted", at: trusting, headers: []string{fly, forwarded}},
		{name: "another than trusted", at: trusting, headers: []string{forwarded}, want: "X-Forwarded-For"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			line, self := "plugin-oauth is up and running.\n", `{"service":"plugin-oauth","plugin":true}`
			if test.want != "" {
				line += "It does not believe the header " + test.want + ", which came with this request. " +
					"If a proxy of yours overwrites it or adds to it, name it in TRUSTED_PROXY_HEADERS.\n"
				self = `{"service":"plugin-oauth","plugin":true,"untrustedProxyHeader":"` + test.want + `"}`
			}
			if test.lost != "" {
				line += "It cannot tell which network this request comes from. " + test.lost.Text() + " " +
					doctor.UnknownNetwork(test.lost).Fix + "\n"
				self = `{"service":"plugin-oauth","plugin":true,"unknownNetwork":"` + string(test.lost) + `"}`
			}
			s := test.at
			s.Expect("for people", s.Request(http.MethodGet, "/", "", test.headers...), http.StatusOK, line)
			asks := append(test.headers, "Accept: application/json")
			s.Expect("for programs", s.Request(http.MethodGet, "/", "", asks...), http.StatusOK, self)
		})
	}
}

// Where nothing says who visits, GET / has the line for each of the well-known proxies.
func TestIndexNamesProxies(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.PublicURL = "https://backend.example" })
	got := s.Get("/")
	for _, line := range []string{
		"nginx: proxy_set_header X-Real-IP $remote_addr; and TRUSTED_PROXY_HEADERS=X-Real-IP",
		"HAProxy: option forwardfor", "Caddy (reverse_proxy)", "Apache (ProxyPass)",
		"TRUSTED_PROXY_HEADERS=X-Forwarded-For",
	} {
		if !strings.Contains(got.Body, line) {
			t.Errorf("it does not say %q:\n%s", line, got.Body)
		}
	}
}

// The address that the doctor makes up is said to be believed where a trusted header has it last.
func TestBelievedProbe(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"X-Real-IP", "Forwarded"} })
	probe := doctor.ProbeAddress.String()
	for name, test := range map[string]struct{ header, want string }{
		"as it was sent": {header: "X-Real-IP: " + probe, want: `,"believedProbe":"X-Real-IP"`},
		"RFC 7239":       {header: "Forwarded: for=" + probe, want: `,"believedProbe":"Forwarded"`},
		"added to": {header: "X-Real-IP: " + probe + ", 198.51.100.7",
			want: `,"unknownNetwork":"several"`},
		"overwritten": {header: "Forwarded: for=198.51.100.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			got := s.Request(http.MethodGet, "/", "", "Accept: application/json", test.header)
			s.Expect("index", got, http.StatusOK, `{"service":"plugin-oauth","plugin":true`+test.want+`}`)
		})
	}
}

// GET / tells the doctor whether there is a plugin, and that it is the service that answers.
func TestIndexForPrograms(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) {
		c.Plugin, c.EncryptionKey, c.PublicURL = nil, testEncryptionKey, "https://backend.example"
	})
	get := func(at *testServer) {
		t.Helper()
		got := at.Request(http.MethodGet, "/", "", "Accept: application/json")
		if at == s {
			s.Expect("without a plugin", got, http.StatusOK,
				`{"service":"plugin-oauth","plugin":false,"unknownNetwork":"private"}`)
			return
		}
		at.Expect("at a plugin", got, http.StatusOK,
			`{"service":"plugin-oauth","plugin":true,"unknownNetwork":"private"}`)
		if contentType := got.Header.Get("Content-Type"); contentType != "application/json" {
			t.Errorf("it says that it is %s", contentType)
		}
	}
	get(s)
	get(s.add("one", nil))
	off := s.add("off", func(fields map[string]any) { fields["enabled"] = false })
	got := off.Request(http.MethodGet, "/", "", "Accept: application/json")
	off.ExpectError("at a plugin that is switched off", got, http.StatusNotFound, "not_found")
}

package hooks

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// Whose place a call gets, and when none has to give it up.
func TestAPICallsPlaces(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		underWay string // the networks, the longest first; ! after one: the token is from here; +: accepted
		network  string
		want     string // the place of the victim in underWay, or the error
	}{
		{name: "room", underWay: "a a a", network: "a", want: "room"},
		{name: "the site with the most", underWay: "b a a b a", network: "c", want: "1"},
		{name: "the longest of many with one each", underWay: "a b c d e", network: "f", want: "0"},
		{name: "no fairer", underWay: "a a b b c", network: "a", want: "busy"},
		{name: "fairer by one", underWay: "a a b b b", network: "a", want: "2"},
		{name: "too many of the network", underWay: "a a a a", network: "a", want: "network busy"},
		{name: "known before unknown", underWay: "a! a! a! b c", network: "d!", want: "3"},
		{name: "known in a network that has many", underWay: "a a! a a", network: "a!", want: "0"},
		{name: "unknown not before known", underWay: "a! b! c! d! d", network: "e", want: "4"},
		{name: "unknown before a site beyond its share", underWay: "a! a! a! a! b!", network: "c", want: "0"},
		{name: "known within its share", underWay: "a! a! c c b", network: "c", want: "busy"},
		{name: "known beyond its share", underWay: "a! a! a! b c", network: "a!", want: "busy"},
		{name: "unknown are fair to each other", underWay: "a! a! a! b! c", network: "d", want: "0"},
		{name: "a site's many networks", underWay: "s/1! s/2! s/3! s/4! a", network: "b", want: "0"},
		{name: "known is fair to known", underWay: "a! a! a! b! b!", network: "b!", want: "0"},
		{name: "unknown of the site with the most", underWay: "a! a! b c c", network: "d", want: "3"},
		{name: "a site's networks", underWay: "s/1 s/2 s/1 a b", network: "c", want: "0"},
		{name: "another of the site", underWay: "s/1 a s/2 s/2 a", network: "s/3", want: "2"},
		{name: "accepted before unknown", underWay: "a+ b c d e", network: "f+", want: "1"},
		{name: "unknown not before accepted", underWay: "a+ a+ b c d", network: "e", want: "2"},
		{name: "known before accepted", underWay: "a+ b+ b+ c+ d+", network: "e!", want: "1"},
		{name: "accepted not before known", underWay: "a! b! c+ d e", network: "f+", want: "3"},
		{name: "unknown before a site beyond its accepted share", underWay: "a+ a+ a+ a+ b", network: "c",
			want: "0"},
		{name: "many accepted take no share of the known", underWay: "a! a! b+ c+ d+", network: "e+",
			want: "2"},
		{name: "the same of the site", underWay: "s/2 s/1 s/1 a a", network: "s/1", want: "busy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			calls := apiCalls{bounds: bounds{network: 4, provider: 5, inAll: 100}}
			got := "room"
			for i, network := range strings.Fields(test.underWay) {
				call := namedCall(network)
				call.displace = func() { got = fmt.Sprint(i) }
				calls.underWay = append(calls.underWay, call)
			}
			before := len(calls.underWay)
			calls.underWay = append(calls.underWay, &apiCall{provider: "another"})
			leave, err := calls.enter(namedCall(test.network))
			switch {
			case errors.Is(err, errBusy):
				got = "busy"
			case errors.Is(err, errNetworkBusy):
				got = "network busy"
			default:
				leave()
			}
			if got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
			if displaced := err == nil && test.want != "room"; displaced {
				before--
			}
			if left := len(calls.underWay) - 1; left != before {
				t.Errorf("%d calls are left of %d", left, before)
			}
		})
	}
}

// namedCall is a call of a network with a short name: a letter is an address of IPv4, s/1 a /64 of a site.
func namedCall(name string) *apiCall {
	call := &apiCall{provider: "provider", displace: func() {}}
	switch name[len(name)-1] {
	case '!':
		call.token = tokenFromHere
	case '+':
		call.token = acceptedToken
	}
	name = strings.TrimRight(name, "!+")
	if subnet, ok := strings.CutPrefix(name, "s/"); ok {
		call.network = netip.MustParsePrefix("2001:db8:0:" + subnet + "::/64")
	} else {
		call.network = netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", name[0]))
	}
	return call
}

// What there is room for in all is bounded, too.
func TestAPICallsInAll(t *testing.T) {
	t.Parallel()
	calls := apiCalls{bounds: bounds{network: 4, provider: 4, inAll: 4}}
	for i := range 100 {
		call := namedCall(string(rune('a' + i%20)))
		call.provider = fmt.Sprint(i)
		if _, err := calls.enter(call); err != nil {
			t.Fatal(err)
		}
		if len(calls.underWay) > 4 {
			t.Fatalf("%d calls are under way", len(calls.underWay))
		}
	}
}

// Bodies that do not come and answers that are not read keep nobody else's call out, however many networks
// they come from: they end at once for it.
func TestFetchGivesPlacesToOthers(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"slow body":      "POST %s HTTP/1.1\r\nContent-Length: 1000\r\n",
		"slow chunks":    "POST %s HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
		"unread answer":  "GET %s?unread HTTP/1.1\r\n",
		"endless answer": "GET %s?endless HTTP/1.1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := testkit.NewAPI(t, answerWithoutEnd)
			s := serveAPI(t, api, func(c *Config) { c.TrustedProxyHeaders = []string{"X-Client"} })
			s.server.apiCalls.bounds = bounds{network: 2, provider: 6, inAll: 6}
			target := fetchPathOf(api, "/echo")
			areUnderWay := func(calls int) func() bool {
				return func() bool {
					s.server.apiCalls.mu.Lock()
					defer s.server.apiCalls.mu.Unlock()
					return len(s.server.apiCalls.underWay) == calls
				}
			}
			var first net.Conn
			for i := range 6 {
				connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { connection.Close() })
				if first == nil {
					first = connection
				}
				fmt.Fprintf(connection, begin+"Host: localhost\r\n%s\r\n%s\r\nX-Client: 192.0.2.%d\r\n\r\n",
					target, apiOrigin, apiToken, 1+i)
				eventually(t, "a place is taken", areUnderWay(1+i))
			}
			got := s.Request(http.MethodGet, target, "", apiOrigin, apiToken, "X-Client: 192.0.2.100")
			if got.Status != http.StatusOK {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			eventually(t, "one has ended", areUnderWay(5))
			if strings.HasPrefix(name, "slow") {
				_ = first.SetReadDeadline(time.Now().Add(20 * time.Second))
				answer, _ := io.ReadAll(first)
				if !strings.HasPrefix(string(answer), "HTTP/1.1 503") ||
					!strings.Contains(string(answer), "Retry-After") {
					t.Errorf("the one that ended got %q", answer)
				}
			}
			if strings.HasSuffix(name, "answer") {
				eventually(t, "the API is left alone", func() bool {
					underWay := 0 // the first that came here need not be the first there
					for _, asked := range api.Requests() {
						if asked.Context().Err() == nil {
							underWay++
						}
					}
					return underWay == 5
				})
			}
		})
	}
}

// A token that did not come from here, as after a restart, keeps its place against made-up ones once the API
// has accepted it, however many networks they come from.
func TestFetchKeepsAcceptedTokens(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	s := serveAPI(t, api, func(c *Config) { c.TrustedProxyHeaders = []string{"X-Client"} })
	s.server.apiCalls.bounds = bounds{network: 2, provider: 6, inAll: 6}
	s.Client.Transport = fromNetwork{RoundTripper: s.Client.Transport, address: "192.0.2.1"}
	s.open(fetchPathOf(api, "/events"))
	for i := range 9 {
		connection, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		network := netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", 10+i))
		fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\nAuthorization: Bearer made-up\r\n"+
			"X-Client: %s\r\nContent-Length: 1000\r\n\r\n", fetchPathOf(api, "/echo"), apiOrigin, network.Addr())
		eventually(t, "it takes a place", func() bool {
			s.server.apiCalls.mu.Lock()
			defer s.server.apiCalls.mu.Unlock()
			return slices.ContainsFunc(s.server.apiCalls.underWay, func(call *apiCall) bool {
				return call.network == network
			})
		})
		got := s.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin, apiToken)
		if got.Status != http.StatusOK {
			t.Errorf("a call: %d %s", got.Status, got.Body)
		}
	}
	if api.Requests()[0].Context().Err() != nil {
		t.Error("the stream has ended")
	}
}

// answerWithoutEnd answers requests that ask for it with more than any buffer takes, or with a beginning.
func answerWithoutEnd(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.RawQuery {
	case "unread":
		piece := strings.Repeat("x", 1<<20)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, piece)
		}
	case "endless":
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		return false
	}
	return true
}

// Calls that need a new connection each cost a handshake, whoever sends them. Those that share one do not.
func TestFetchBoundsHandshakes(t *testing.T) {
	t.Parallel()
	api := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(api.Close)
	host := strings.TrimPrefix(api.URL, "https://")
	for name, shares := range map[string]bool{"one connection": true, "one for each": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newTestClock()
			transport := api.Client().Transport.(*http.Transport).Clone()
			transport.DisableKeepAlives = !shares
			s := serve(t, func(c *Config) {
				clock.setIn(c)
				c.Plugin.APIHosts, c.apiTransport = []string{host}, transport
				c.RefreshRateLimit = RateLimit{Requests: 1, Window: time.Minute}
				c.TrustedProxyHeaders = []string{"X-Client"}
			})
			s.Expect("refresh", s.Post("/refresh?code=RT-1"), http.StatusOK, testkit.TokenResponse)
			call := func(network string) testkit.Answer {
				return s.Request(http.MethodGet, "/fetch/"+host+"/", "", apiOrigin,
					"Authorization: Bearer AT/1+x==", "X-Client: "+network)
			}
			for i := range apiHandshakes {
				if got := call("192.0.2.1"); got.Status != http.StatusOK {
					t.Fatalf("call %d: %d %s", i, got.Status, got.Body)
				}
			}
			got := call("192.0.2.1")
			if shares {
				if got.Status != http.StatusOK {
					t.Errorf("%d %s", got.Status, got.Body)
				}
				return
			}
			s.ExpectError("one too many", got, http.StatusTooManyRequests, "temporarily_unavailable")
			if got.Header.Get("Retry-After") == "" {
				t.Error("there is no time to try again")
			}
			if got := call("192.0.2.2"); got.Status != http.StatusOK {
				t.Errorf("another network: %d", got.Status)
			}
			clock.move(time.Minute)
			if got := call("192.0.2.1"); got.Status != http.StatusOK {
				t.Errorf("later: %d", got.Status)
			}
		})
	}
}

// Whoever makes up tokens does not spend the patience of an API that refuses them with 200. Tokens that came
// from here do not count.
func TestFetchBoundsUnknownTokens(t *testing.T) {
	t.Parallel()
	api := testkit.NewAPI(t, nil)
	clock := newTestClock()
	s := serveAPI(t, api, func(c *Config) {
		clock.setIn(c)
		c.RefreshRateLimit = RateLimit{Requests: 1, Window: time.Minute}
		c.TrustedProxyHeaders = []string{"X-Client"}
	})
	s.Expect("refresh", s.Post("/refresh?code=RT-1"), http.StatusOK, testkit.TokenResponse)
	call := func(network, token string) testkit.Answer {
		return s.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin,
			"Authorization: Bearer "+token, "X-Client: "+network)
	}
	for i := range unknownCalls {
		if got := call("192.0.2.1", fmt.Sprint("made-up", i)); got.Status != http.StatusOK {
			t.Fatalf("call %d: %d %s", i, got.Status, got.Body)
		}
	}
	asked := len(api.Requests())
	got := call("192.0.2.1", "made-up")
	s.ExpectError("one too many", got, http.StatusTooManyRequests, "temporarily_unavailable")
	if got.Header.Get("Retry-After") == "" || len(api.Requests()) != asked {
		t.Error("there is no time to try again, or the API was asked")
	}
	if got := call("192.0.2.2", "made-up"); got.Status != http.StatusOK {
		t.Errorf("another network: %d", got.Status)
	}
	if got := call("192.0.2.1", "AT/1+x=="); got.Status != http.StatusOK {
		t.Errorf("a token that came from here: %d", got.Status)
	}
	alone := s.Request(http.MethodGet, fetchPathOf(api, "/echo"), "", apiOrigin, "Authorization: AT/1+x==",
		"X-Client: 192.0.2.1")
	if alone.Status != http.StatusOK {
		t.Errorf("a token that came from here, without a scheme: %d", alone.Status)
	}
	clock.move(time.Minute)
	if got := call("192.0.2.1", "made-up"); got.Status != http.StatusOK {
		t.Errorf("later: %d", got.Status)
	}
}

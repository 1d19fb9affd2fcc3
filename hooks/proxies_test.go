package hooks

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"plugin-oauth/client"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/internal/testkit"
)

// serveBehind starts the service behind a proxy, and returns it as the world reaches it, and as the proxy
// does. edits change the proxy's configuration.
func serveBehind(
	t *testing.T, proxy *testkit.Proxy, edit func(*Config), edits ...string,
) (world, direct *testServer) {
	t.Helper()
	direct = serve(t, func(c *Config) {
		c.Plugin.RedirectURI, c.PublicURL = "", proxy.URL
		c.TrustedProxyHeaders = []string{proxy.TrustedHeader()}
		if edit != nil {
			edit(c)
		}
	})
	proxy.Start(strings.TrimPrefix(direct.URL, "http://"), edits...)
	world = direct.in(t)
	world.URL, world.Client = proxy.URL, proxy.Client
	return world, direct
}

// forEachProxy runs a test with each of the proxies of docs/proxies.md, at the root of a host and below a
// path.
func forEachProxy(t *testing.T, run func(t *testing.T, proxy *testkit.Proxy)) {
	for _, kind := range testkit.ProxyKinds {
		for _, below := range []string{"", "/oauth"} {
			t.Run(string(kind)+below, func(t *testing.T) {
				t.Parallel()
				run(t, testkit.NewProxy(t, kind, below))
			})
		}
	}
}

// Behind each proxy, as docs/proxies.md has it, everything works as it does without.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	forEachProxy(t, func(t *testing.T, proxy *testkit.Proxy) {
		more := make(chan struct{})
		api := testkit.NewAPI(t, func(w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case "/lines":
				fmt.Fprintln(w, "first")
				_ = http.NewResponseController(w).Flush()
				<-more
				fmt.Fprintln(w, "last")
			case "/moved":
				w.Header().Set("Location", "/echo/there")
				w.WriteHeader(http.StatusFound)
			default:
				return false
			}
			return true
		})
		s, direct := serveBehind(t, proxy, func(c *Config) {
			c.Plugin.APIHosts, c.EncryptionKey = []string{api.Host}, testEncryptionKey
		})
		direct.add("second", nil)
		s.Client.Timeout = 20 * time.Second
		s.Expect("index", s.Get("/"), http.StatusOK, "plugin-oauth is up and running.\n")
		s.expectNothingMadeUp()
		s.expectHintsOnly(proxy)
		secrets := s.signInBehind(direct, proxy)
		s.fetchBehind(api, more)
		s.dashboardBehind()
		second, _ := s.AuthorizeAt("/second/authorize")
		if uri := second.Query().Get("redirect_uri"); uri != proxy.URL+"/second/redirect" {
			t.Errorf("the redirect URI of a plugin of the dashboard is %s", uri)
		}
		isLogged := func() bool { return strings.Contains(proxy.Logged(), "/_") }
		eventually(t, "the requests are logged", isLogged)
		for _, secret := range secrets {
			if logged := proxy.Logged(); strings.Contains(logged, secret) {
				t.Errorf("%.50s is logged:\n%s", secret, logged)
			}
		}
	})
}

// expectNothingMadeUp checks that no address that a visitor makes up gets through. Where it stands beside the
// true one, the network is not known, as behind one more proxy.
func (s *testServer) expectNothingMadeUp() {
	s.T.Helper()
	probe := doctor.ProbeAddress.String()
	got := s.Request(http.MethodGet, "/", "", "Accept: application/json", "X-Real-IP: "+probe,
		"X-Forwarded-For: "+probe, "Forwarded: for="+probe, "Fly-Client-IP: "+probe,
		"CF-Connecting-IP: "+probe)
	s.Expect("with made-up addresses", got, http.StatusOK,
		`{"service":"plugin-oauth","plugin":true,"unknownNetwork":"several"}`)
}

// expectHintsOnly checks that the doctor, who asks the public address, finds nothing wrong.
func (s *testServer) expectHintsOnly(proxy *testkit.Proxy) {
	s.T.Helper()
	options := s.server.config.doctorOptions()
	options.Transport = proxy.Client.Transport
	var hints []string
	for _, f := range doctor.New(options).Check(s.T.Context()) {
		if f.Level != doctor.LevelHint {
			s.T.Errorf("the doctor finds: %+v", f)
		}
		hints = append(hints, f.Fix)
	}
	wanted := map[testkit.ProxyKind]string{
		testkit.HAProxy: "abortonclose", testkit.Apache: "MaxRequestWorkers",
	}
	if said := strings.Join(hints, " "); !strings.Contains(said, wanted[proxy.Kind]) ||
		(said != "") != (wanted[proxy.Kind] != "") {
		s.T.Errorf("of %s the doctor says %q", proxy.Kind, said)
	}
}

// signInBehind goes through sign-ins, with the question and without, and refreshes. It returns what must not
// be logged.
func (s *testServer) signInBehind(direct *testServer, proxy *testkit.Proxy) (secrets []string) {
	s.T.Helper()
	authorizationURL, readKey := s.Authorize()
	began := time.Now()
	s.Expect("a short wait", s.Post("/poll?wait=2&readKey="+readKey), http.StatusNotFound, bodyPending)
	if waited := time.Since(began); waited < 2*time.Second {
		s.T.Errorf("a poll of 2 seconds was answered after %s", waited)
	}
	callback := s.Agree(authorizationURL)
	poll := s.holdPolls(1, readKey)[0]
	s.ExpectPage("redirect", s.Get(callback), http.StatusOK, "You are signed in")
	s.Expect("poll", <-poll, http.StatusOK, testkit.TokenResponse)

	long := strings.Repeat("Long+/=", 12<<10/7)
	got := s.Post("/refresh?code=" + long)
	s.Expect("refresh", got, http.StatusOK, testkit.TokenResponse)

	elsewhere := proxy.TrustedHeader() + ": 198.51.100.7" // as another proxy would say
	started := direct.Request(http.MethodPost, "/authorize", "", elsewhere)
	authorizationURL, asked := s.ParseLogin(started)
	page := s.Get(s.Agree(authorizationURL))
	s.ExpectPage("question", page, http.StatusOK, questionTitle)
	form := url.Values{"choice": {"continue"}}
	for _, field := range hidden.FindAllStringSubmatch(page.Body, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	origin := "Origin: " + strings.TrimSuffix(s.URL, s.server.config.basePath())
	page = s.Request(http.MethodPost, "/redirect", form.Encode(), origin,
		"Content-Type: application/x-www-form-urlencoded")
	s.ExpectPage("continue", page, http.StatusOK, "You are signed in")
	s.expectTokens(asked)
	return []string{readKey, asked, long[:100], authorizationURL.Query().Get("state"), form.Get("code")}
}

// fetchBehind calls an API whose answer comes in two pieces, and one whose addresses have escaped slashes.
func (s *testServer) fetchBehind(api *testkit.API, more chan<- struct{}) {
	s.T.Helper()
	request, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet,
		s.URL+fetchPathOf(api, "/lines"), nil)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, header := range []string{apiOrigin, apiToken} {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := s.Client.Do(request)
	if err != nil {
		s.T.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || lines.Text() != "first" {
		s.T.Errorf("the answer begins with %q, %v", lines.Text(), lines.Err())
	}
	close(more)
	if !lines.Scan() || lines.Text() != "last" {
		s.T.Errorf("the answer ends with %q, %v", lines.Text(), lines.Err())
	}
	const target = "/echo/a%2Fb%20c?d=%2F"
	s.Request(http.MethodGet, fetchPathOf(api, target), "", apiOrigin, apiToken)
	asked := api.Requests()[len(api.Requests())-1]
	if asked.RequestURI != target || asked.Header.Get("X-Real-IP")+asked.Header.Get("X-Forwarded-For") != "" {
		s.T.Errorf("the API got %s, with %v", asked.RequestURI, asked.Header)
	}
	moved := s.Request(http.MethodGet, fetchPathOf(api, "/moved"), "", apiOrigin, apiToken)
	want := s.server.config.basePath() + fetchPathOf(api, "/echo/there")
	if location := moved.Header.Get("Location"); location != want {
		s.T.Errorf("it redirects to %s, not %s", location, want)
	}
}

// dashboardBehind loads what the dashboard consists of.
func (s *testServer) dashboardBehind() {
	s.T.Helper()
	admin := s.Admin()
	for _, path := range []string{
		"/_/", "/_/extensions.js", "/_/extensions/sign-ins/page.js", "/api/health",
		"/api/plugin-oauth/plugins", "/client.js",
	} {
		if got := s.Request(http.MethodGet, path, "", admin); got.Status != http.StatusOK {
			s.T.Errorf("%s: %d %.100s", path, got.Status, got.Body)
		}
	}
	etag := s.Get("/client.js").Header.Get("ETag")
	same := s.Request(http.MethodGet, "/client.js", "", "If-None-Match: "+etag)
	s.Expect("client.js, not changed", same, http.StatusNotModified, "")
	redirect := s.Get("/_")
	if location := redirect.Header.Get("Location"); location != "_/" {
		s.T.Errorf("/_ leads to %d %q", redirect.Status, location)
	}
}

// pendingPolls returns how many polls were answered that the login is pending.
func (s *testServer) pendingPolls() float64 {
	s.T.Helper()
	var sample dto.Metric
	if err := s.server.metrics.polls[answerPending].Write(&sample); err != nil {
		s.T.Fatal(err)
	}
	return sample.Counter.GetValue()
}

// leavePoll sends a poll that waits, and leaves when it does.
func (s *testServer) leavePoll(client *http.Client, poll string) {
	s.T.Helper()
	ctx, leave := context.WithCancel(s.T.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+poll+"&wait=30", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	left := make(chan struct{})
	go func() {
		defer close(left)
		if response, err := client.Do(r); err == nil {
			response.Body.Close()
			s.T.Error("the poll did not wait")
		}
	}()
	eventually(s.T, "the poll waits", func() bool { return s.waitingPolls() == 1 })
	leave()
	<-left
	client.CloseIdleConnections()
}

// A plugin that leaves while its poll is held does not take the tokens with it, whether or not the proxy ends
// its request: the next poll gets them, with a wait or without.
func TestPluginLeavesBehindProxy(t *testing.T) {
	t.Parallel()
	const tls = " ssl crt /etc/ssl/backend.example.pem alpn h2,http/1.1"
	const abort = "option abortonclose"
	for name, test := range map[string]struct {
		kind  testkit.ProxyKind
		edits []string
		keeps bool // the request of nobody, at least for a while
		plain bool // without TLS, and so with HTTP/1.1 only
	}{
		"nginx":                    {kind: testkit.Nginx},
		"Caddy":                    {kind: testkit.Caddy},
		"Caddy, flush_interval -1": {kind: testkit.Caddy, edits: []string{"50ms", "-1"}, keeps: true},
		"HAProxy":                  {kind: testkit.HAProxy},
		"HAProxy, no TLS":          {kind: testkit.HAProxy, edits: []string{tls, ""}, plain: true},
		"HAProxy, no TLS, no option": {
			kind: testkit.HAProxy, edits: []string{tls, "", abort, ""}, plain: true, keeps: true,
		},
		"Apache": {kind: testkit.Apache, keeps: true},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				t.Parallel()
				proxy := testkit.NewProxy(t, test.kind, "")
				if test.plain {
					proxy.URL = strings.Replace(proxy.URL, "https", "http", 1)
				}
				s, _ := serveBehind(t, proxy, nil, test.edits...)
				proxy.Client.Transport.(*http.Transport).ForceAttemptHTTP2 = protocol == "HTTP/2"
				for _, next := range []string{"waits", "plain", "acknowledges"} {
					s.loseAPoll(proxy.Client, next, test.keeps)
				}
			})
		}
	}
}

// loseAPoll lets a plugin leave while its poll waits, and then poll again as next says. keeps says that the
// proxy holds the request of nobody.
func (s *testServer) loseAPoll(client *http.Client, next string, keeps bool) {
	s.T.Helper()
	authorizationURL, readKey := s.Authorize()
	callback := s.Agree(authorizationURL)
	answered := s.pendingPolls()
	poll := "/poll?readKey=" + readKey
	if next == "acknowledges" {
		poll += "&ack=1"
	}
	s.leavePoll(client, poll)
	if !keeps {
		answered++
		eventually(s.T, "the proxy ends the poll", func() bool { return s.pendingPolls() == answered })
	}
	var held <-chan testkit.Answer
	switch next {
	case "waits":
		held = startPoll(s.Backend, readKey)
	case "plain":
		s.Expect("a plain poll", s.Post(poll), http.StatusNotFound, bodyPending)
	}
	if next != "acknowledges" && keeps {
		eventually(s.T, "the older poll is answered", func() bool { return s.pendingPolls() > answered })
	}
	if next == "waits" {
		eventually(s.T, "the newer one waits", func() bool { return s.waitingPolls() == 1 })
	}
	s.ExpectPage("redirect", s.Get(callback), http.StatusOK, "You are signed in")
	switch next {
	case "waits":
		s.Expect("the next poll", <-held, http.StatusOK, testkit.TokenResponse)
	case "plain":
		s.expectTokens(readKey)
	case "acknowledges": // though the request of nobody may have had them
		eventually(s.T, "nobody waits", func() bool { return s.waitingPolls() == 0 })
		s.Expect("the next poll", s.Post(poll), http.StatusOK, testkit.TokenResponse)
		s.Expect("once more", s.Post(poll), http.StatusOK, testkit.TokenResponse)
		s.Expect("stored", s.Post("/poll?ack=done&readKey="+readKey), http.StatusNoContent, "")
		s.Expect("the end", s.Post(poll), http.StatusNotFound, bodyUnknown)
	}
}

// With as many workers as docs/proxies.md has, Apache answers while more polls wait than it has by default.
func TestManyPollsBehindApache(t *testing.T) {
	t.Parallel()
	const count = 160
	proxy := testkit.NewProxy(t, testkit.Apache, "")
	s, direct := serveBehind(t, proxy, nil)
	var polls sync.WaitGroup
	keys := make([]string, count)
	for i := range keys {
		keys[i] = direct.startLogin()
		polls.Go(func() { s.Post("/poll?wait=30&readKey=" + keys[i]) })
	}
	eventually(t, "all polls wait", func() bool { return s.waitingPolls() == count })
	s.Expect("index", s.Get("/"), http.StatusOK, "plugin-oauth is up and running.\n")
	for _, readKey := range keys { // Apache ends when nothing waits
		direct.Post("/poll?readKey=" + readKey)
	}
	polls.Wait()
}

// Behind a proxy that sends no address nobody's network is known. GET / says what to do, and people are
// asked.
func TestProxyWithoutAddress(t *testing.T) {
	t.Parallel()
	for kind, edits := range map[testkit.ProxyKind][]string{
		testkit.Nginx:   {"proxy_set_header X-Real-IP $remote_addr;", ""},
		testkit.Caddy:   {"flush_interval", "header_up -X-Forwarded-*\n\t\tflush_interval"},
		testkit.HAProxy: {"option forwardfor", ""},
		testkit.Apache:  {"ProxyPreserveHost On", "ProxyPreserveHost On\n\tProxyAddHeaders Off"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			proxy := testkit.NewProxy(t, kind, "")
			s, _ := serveBehind(t, proxy, func(c *Config) {
				c.TrustedProxyHeaders, c.PublicURL = nil, "https://backend.example"
				c.Plugin.RedirectURI = proxy.URL + "/redirect"
			}, edits...)
			got := s.Request(http.MethodGet, "/", "", "Accept: application/json")
			s.Expect("for programs", got, http.StatusOK,
				`{"service":"plugin-oauth","plugin":true,"unknownNetwork":"private"}`)
			fix := doctor.UnknownNetwork(doctor.UnknownPrivate).Fix
			if said := s.Get("/").Body; !strings.Contains(said, fix) {
				t.Errorf("for people: %s", said)
			}
			page, readKey := s.Login()
			s.ExpectPage("redirect", page, http.StatusOK, questionTitle)
			s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
		})
	}
}

// A proxy that passes on what visitors send, where it should overwrite it, is found by the doctor.
func TestProxyThatOverwritesNothing(t *testing.T) {
	t.Parallel()
	proxy := testkit.NewProxy(t, testkit.Nginx, "")
	s, _ := serveBehind(t, proxy, nil, "proxy_set_header X-Real-IP $remote_addr;", "")
	options := s.server.config.doctorOptions()
	options.Transport = proxy.Client.Transport
	found := doctor.New(options).Check(t.Context())
	if len(found) != 1 || found[0].Level != doctor.LevelError || !strings.Contains(found[0].What, "make up") {
		t.Errorf("found %+v", found)
	}
}

// A proxy that leaves the path of PUBLIC_URL in the addresses is told so, and the doctor finds it.
func TestProxyThatKeepsThePath(t *testing.T) {
	t.Parallel()
	proxy := testkit.NewProxy(t, testkit.Nginx, "/oauth")
	s, _ := serveBehind(t, proxy, nil, "$below_oauth;", ";")
	s.Expect("index", s.Get("/"), http.StatusNotFound,
		`{"error":"not_found","error_description":"`+doctor.KeptPrefix("/oauth")+`"}`)
	options := s.server.config.doctorOptions()
	options.Transport = proxy.Client.Transport
	found := doctor.New(options).Check(t.Context())
	if len(found) != 1 || !strings.Contains(found[0].What, "leaves /oauth") {
		t.Errorf("found %+v", found)
	}
}

// What a proxy logs has no query, also where the service does not answer.
func TestProxiesLogNoQuery(t *testing.T) {
	t.Parallel()
	forEachProxy(t, func(t *testing.T, proxy *testkit.Proxy) {
		proxy.Start(freeAddress(t))
		visitor := &testkit.Backend{T: t, URL: proxy.URL, Client: proxy.Client}
		got := visitor.Post("/poll?readKey=not-to-be-logged")
		if got.Status != http.StatusBadGateway && got.Status != http.StatusServiceUnavailable {
			t.Errorf("it answers %d", got.Status)
		}
		isLogged := func() bool { return strings.Contains(proxy.Logged(), "/poll") }
		eventually(t, "the request is logged", isLogged)
		if logged := proxy.Logged(); strings.Contains(logged, "not-to-be-logged") {
			t.Errorf("the query is logged:\n%s", logged)
		}
	})
}

// A browser that has the client is told so through proxies that compress it themselves, and that change its
// ETag for that.
func TestClientBehindCompressingProxies(t *testing.T) {
	t.Parallel()
	const apacheModules = "LoadModule filter_module /usr/lib/apache2/modules/mod_filter.so\n" +
		"LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so\n"
	for kind, edits := range map[testkit.ProxyKind][]string{
		testkit.Nginx: {"proxy_buffering off;", "gzip on; gzip_types text/javascript; gzip_proxied any; " +
			`proxy_set_header Accept-Encoding "";`},
		testkit.Caddy: {"flush_interval 50ms", "header_up -Accept-Encoding",
			"\treverse_proxy", "\tencode gzip\n\treverse_proxy"},
		testkit.HAProxy: {"server one", "compression algo gzip\n\tcompression type text/javascript\n" +
			"\tcompression offload\n\tserver one"},
		testkit.Apache: {
			"# A log", apacheModules + "# A log", "ProxyPreserveHost On",
			"ProxyPreserveHost On\n\tAddOutputFilterByType DEFLATE text/javascript",
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			proxy := testkit.NewProxy(t, kind, "")
			s, _ := serveBehind(t, proxy, nil, edits...)
			const accepts = "Accept-Encoding: gzip"
			got := s.Request(http.MethodGet, "/client.js", "", accepts)
			isSame := decode(t, "gzip", got.Body) == string(client.JavaScript)
			if !isSame || got.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("it comes with %v", got.Header)
			}
			etag := "If-None-Match: " + got.Header.Get("ETag")
			same := s.Request(http.MethodGet, "/client.js", "", accepts, etag)
			s.Expect(etag, same, http.StatusNotModified, "")
		})
	}
}

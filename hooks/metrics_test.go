package hooks

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"plugin-oauth/hooks/alert"
	"plugin-oauth/internal/testkit"
)

// scrape reads the metrics with Prometheus' own parser. A sample's key is its name with its labels.
func scrape(t *testing.T, address string) map[string]float64 {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	samples := map[string]float64{}
	for name, family := range families {
		if family.GetHelp() == "" {
			t.Errorf("%s says nothing of itself", name)
		}
		for _, metric := range family.Metric {
			var labels []string
			for _, label := range metric.Label {
				labels = append(labels, label.GetName()+"="+label.GetValue())
			}
			key := name + "{" + strings.Join(labels, ",") + "}"
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				samples[key] = metric.Counter.GetValue()
			case dto.MetricType_GAUGE:
				samples[key] = metric.Gauge.GetValue()
			case dto.MetricType_HISTOGRAM:
				samples[key] = float64(metric.Histogram.GetSampleCount())
			}
		}
	}
	return samples
}

// freeAddress is [testkit.FreeAddress] for a test.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// requestsOfEveryKind sends requests that each metric counts some of, with one poll that is held until the
// service ends.
func (s *testServer) requestsOfEveryKind(clock *testClock) {
	s.T.Helper()
	other := s.add("other", nil)
	s.everyOutcome(clock)
	_, otherKey := other.Login()
	other.Poll(otherKey)

	s.Post("/poll") // no key
	authorizationURL, readKey := s.Authorize()
	s.Poll(readKey)
	s.Get("/redirect?error=access_denied&state=" + authorizationURL.Query().Get("state"))
	s.Poll(readKey)
	_, held := s.Authorize()
	go func() {
		if response, err := http.Post(s.URL+"/poll?wait=30&readKey="+held, "", nil); err == nil {
			response.Body.Close()
		}
	}()

	for i, answer := range []http.HandlerFunc{
		nil,
		answering(http.StatusBadRequest, `{"error":"invalid_grant"}`),
		answering(http.StatusUnauthorized, `{"error":"invalid_client"}`), // not the person's fault
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		s.Provider.Answers(answer)
		s.Post(fmt.Sprintf("/refresh?code=RT-%d", i+1))
	}

	// Nothing that a stranger sends may become a label.
	for i := range 20 {
		s.Post(fmt.Sprintf("/poll?readKey=stranger%d", i))
		s.Post(fmt.Sprintf("/stranger%d/authorize", i))
		strange, _ := s.Authorize()
		code := "stranger_" + strings.Repeat("x", i+1)
		s.Get("/redirect?error=" + code + "&state=" + strange.Query().Get("state"))
	}
	eventually(s.T, "a poll is held", func() bool { return s.waitingPolls() == 1 })
}

// answering returns a handler that always gives this answer.
func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	address, clock := freeAddress(t), newTestClock()
	s := serve(t, func(c *Config) {
		c.MetricsAddr, c.Version, c.EncryptionKey = address, "v1.2.3", testEncryptionKey
		clock.setIn(c)
	})
	s.requestsOfEveryKind(clock)
	samples := scrape(t, address)
	for key, want := range map[string]float64{
		"plugin_oauth_build_info{goversion=*,version=v1.2.3}":                                           1,
		"plugin_oauth_logins_started_total{plugin=/}":                                                   30,
		"plugin_oauth_logins_started_total{plugin=other}":                                               1,
		"plugin_oauth_logins_ended_total{outcome=claimed,plugin=/}":                                     1,
		"plugin_oauth_logins_ended_total{outcome=claimed,plugin=other}":                                 1,
		"plugin_oauth_logins_ended_total{outcome=denied,plugin=/}":                                      4,
		"plugin_oauth_logins_ended_total{outcome=failed,plugin=/}":                                      22,
		"plugin_oauth_logins_ended_total{outcome=expired,plugin=/}":                                     2,
		"plugin_oauth_logins_pending{}":                                                                 1,
		"plugin_oauth_polls_total{answer=tokens}":                                                       2,
		"plugin_oauth_polls_total{answer=authorization_pending}":                                        1,
		"plugin_oauth_polls_total{answer=ended}":                                                        2,
		"plugin_oauth_polls_total{answer=invalid_request}":                                              1,
		"plugin_oauth_polls_total{answer=not_found}":                                                    20,
		"plugin_oauth_polls_total{answer=error}":                                                        0,
		"plugin_oauth_polls_total{answer=expired_token}":                                                0,
		"plugin_oauth_polls_waiting{}":                                                                  1,
		"plugin_oauth_refreshes_total{outcome=tokens,plugin=/}":                                         1,
		"plugin_oauth_refreshes_total{outcome=refused,plugin=/}":                                        1,
		"plugin_oauth_refreshes_total{outcome=error,plugin=/}":                                          2,
		"plugin_oauth_token_request_duration_seconds{grant=authorization_code,plugin=/,status=2xx}":     3,
		"plugin_oauth_token_request_duration_seconds{grant=authorization_code,plugin=/,status=4xx}":     1,
		"plugin_oauth_token_request_duration_seconds{grant=authorization_code,plugin=other,status=2xx}": 1,
		"plugin_oauth_token_request_duration_seconds{grant=refresh_token,plugin=/,status=2xx}":          1,
		"plugin_oauth_token_request_duration_seconds{grant=refresh_token,plugin=/,status=4xx}":          2,
		"plugin_oauth_token_request_duration_seconds{grant=refresh_token,plugin=/,status=unreachable}":  1,
		"plugin_oauth_sweep_duration_seconds{result=ok}":                                                1,
		"plugin_oauth_sweep_sessions_total{action=expired}":                                             2,
		"plugin_oauth_sweep_sessions_total{action=removed}":                                             0,
		"plugin_oauth_plugin_failing{plugin=/}":                                                         0,
		"plugin_oauth_plugin_failing{plugin=other}":                                                     0,
	} {
		found := false
		for sample, got := range samples {
			prefix, suffix, pattern := strings.Cut(key, "*")
			matches := pattern && strings.HasPrefix(sample, prefix) && strings.HasSuffix(sample, suffix)
			if sample != key && !matches {
				continue
			}
			sweeps := strings.HasPrefix(key, "plugin_oauth_sweep_duration") // at each full minute, too
			if found = true; got != want && !(sweeps && got > want) {
				t.Errorf("%s is %v, want %v", key, got, want)
			}
			delete(samples, sample)
		}
		if !found {
			t.Errorf("%s is missing", key)
		}
	}
	if samples["plugin_oauth_disk_free_bytes{}"] < 1<<20 {
		t.Error("there is no room on the disk")
	}
	delete(samples, "plugin_oauth_disk_free_bytes{}")
	for key, value := range samples {
		if strings.HasPrefix(key, "plugin_oauth_") && (value != 0 || strings.Contains(key, "stranger")) {
			t.Errorf("%s is %v, too", key, value)
		}
		if strings.HasPrefix(key, "etcd_") || strings.HasPrefix(key, "plugin_oauth_cluster_") {
			t.Errorf("%s is there without a cluster", key)
		}
	}
	if _, found := samples["go_goroutines{}"]; !found {
		t.Error("nothing is said of Go")
	}
}

// All that may be counted of a plugin is there from the start, at zero, also of one that is added later: else
// its first failure would be no increase. One that is switched off or deleted does not fail any more.
func TestMetricsAtStart(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	s := serve(t, func(c *Config) { c.MetricsAddr, c.EncryptionKey = address, testEncryptionKey })
	ofPlugin := func(samples map[string]float64, label string) (found int) {
		for key, value := range samples {
			if strings.Contains(key, "plugin="+label+",") || strings.Contains(key, "plugin="+label+"}") {
				found++
				if value != 0 {
					t.Errorf("%s is %v", key, value)
				}
			}
		}
		return found
	}
	const started, ended, refreshes, tokenRequests, failing, apiCalls = 1, 4, 3, 12, 1, 5
	const all = started + ended + refreshes + tokenRequests + failing
	first := scrape(t, address)
	if found := ofPlugin(first, "/"); found != all {
		t.Errorf("%d series of the plugin at the root, want %d", found, all)
	}
	for _, key := range []string{
		"plugin_oauth_sweep_duration_seconds{result=ok}",
		"plugin_oauth_sweep_duration_seconds{result=failed}",
		"plugin_oauth_sweep_sessions_total{action=expired}",
		"plugin_oauth_sweep_sessions_total{action=removed}",
	} {
		if _, found := first[key]; !found {
			t.Errorf("there is no %s", key)
		}
	}
	s.add("other", func(fields map[string]any) { fields["apiHosts"] = "api.example" })
	if found := ofPlugin(scrape(t, address), "other"); found != all+apiCalls {
		t.Errorf("%d series of a plugin that was added, want %d", found, all+apiCalls)
	}
	for range alert.InARow {
		s.server.alerts.watch.Failed("other", alert.ProviderDown, "")
	}
	const failingOther = "plugin_oauth_plugin_failing{plugin=other}"
	if samples := scrape(t, address); samples[failingOther] != 1 {
		t.Errorf("it fails: %v", samples[failingOther])
	}
	s.UpdatePlugin(s.record("other"), map[string]any{"enabled": false})
	if value, found := scrape(t, address)[failingOther]; found {
		t.Errorf("switched off: %v", value)
	}
}

// The metrics have an address of their own, which answers nothing else.
func TestMetricsAddress(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	s := serve(t, func(c *Config) { c.MetricsAddr = address })
	for _, path := range []string{"/", "/authorize", "/api/health", "//metrics?&&&", "/metrics/"} {
		if got := s.Get("http://" + address + path); got.Status != http.StatusNotFound {
			t.Errorf("%s is answered %d", path, got.Status)
		}
	}
	if got := s.Get("http://" + address + "/metrics"); got.Status != http.StatusOK {
		t.Errorf("the metrics: %d", got.Status)
	}
	if got := s.Get("/metrics"); got.Status != http.StatusNotFound {
		t.Errorf("strangers can read the metrics: %d", got.Status)
	}
}

// Connections to that address count with the others, and none lasts because its request does not end.
func TestMetricsAddressIsBounded(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	s := serve(t, func(c *Config) { c.MetricsAddr, c.timing.headers = address, 100*time.Millisecond })
	before := s.openNow()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	eventually(t, "the connection counts", func() bool { return s.openNow() == before+1 })
	const unfinished = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"
	_, _ = io.WriteString(connection, unfinished)
	eventually(t, "it ends", func() bool { return s.openNow() == before })
}

// An address that cannot be used stops the start.
func TestMetricsAddressUnusable(t *testing.T) {
	t.Parallel()
	const noAddress = "METRICS_ADDR must be an address with a port, such as 127.0.0.1:9091"
	for _, test := range []struct {
		name, address string // a blank address is the service's own
		want          string
	}{
		{name: "in use", want: "METRICS_ADDR cannot be used"},
		{name: "no host", address: "9091", want: noAddress},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t)
			p.Env = append(p.Env, "METRICS_ADDR="+cmp.Or(test.address, p.Address))
			if out, code := p.Run(p.Args...); code != 1 || !strings.Contains(out, test.want) {
				t.Errorf("ended with %d: %s", code, out)
			}
		})
	}
}

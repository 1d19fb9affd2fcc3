package hooks

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
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

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	s := serve(t, func(c *Config) {
		c.MetricsAddr, c.Version, c.EncryptionKey = address, "v1.2.3", testEncryptionKey
	})
	other := s.add("other", nil)
	s.outcomes()
	_, otherKey := other.login()
	other.poll(otherKey)

	s.post("/poll") // no key
	authorizationURL, readKey := s.authorize()
	s.poll(readKey)
	s.get("/redirect?error=access_denied&state=" + authorizationURL.Query().Get("state"))
	s.poll(readKey)
	_, held := s.authorize()
	go func() {
		if response, err := http.Post(s.url+"/poll?wait=30&readKey="+held, "", nil); err == nil {
			response.Body.Close()
		}
	}()

	s.post("/refresh?code=RT-1")
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
	})
	s.post("/refresh?code=RT-2")
	s.provider.answers(answering(http.StatusUnauthorized, `{"error":"invalid_client"}`)) // not the person's fault
	s.post("/refresh?code=RT-3")
	s.provider.answers(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	s.post("/refresh?code=RT-4")

	// What a stranger may make up must not become a label.
	for i := range 20 {
		s.post(fmt.Sprintf("/poll?readKey=stranger%d", i))
		s.post(fmt.Sprintf("/stranger%d/authorize", i))
		strange, _ := s.authorize()
		s.get(fmt.Sprintf("/redirect?error=stranger_%s&state=%s", strings.Repeat("x", i+1), strange.Query().Get("state")))
	}

	for deadline := time.Now().Add(5 * time.Second); s.relay.metrics.isWaiting() == 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
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
	} {
		found := false
		for sample, got := range samples {
			prefix, suffix, pattern := strings.Cut(key, "*")
			if sample != key && !(pattern && strings.HasPrefix(sample, prefix) && strings.HasSuffix(sample, suffix)) {
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
	for key := range samples {
		if strings.HasPrefix(key, "plugin_oauth_") {
			t.Errorf("%s is there, too", key)
		}
	}
	if _, found := samples["go_goroutines{}"]; !found {
		t.Error("nothing is said of Go")
	}
	response, err := http.Get("http://" + address + "/authorize")
	if err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("the metrics' address answers more than metrics: %v, %v", response, err)
	}
	if got := s.get("/metrics"); got.status != http.StatusNotFound {
		t.Errorf("strangers can read the metrics: %d", got.status)
	}
}

// isWaiting returns the number of polls that are held.
func (m *metrics) isWaiting() float64 {
	var sample dto.Metric
	if err := m.waiting.Write(&sample); err != nil {
		return -1
	}
	return sample.Gauge.GetValue()
}

func TestMetricsAddressInUse(t *testing.T) {
	t.Parallel()
	p := newProcess(t)
	p.env = append(p.env, "METRICS_ADDR="+p.args[2])
	out, code := p.run(p.args...)
	if code != 1 || !strings.Contains(out, "METRICS_ADDR cannot be used") {
		t.Errorf("ended with %d: %s", code, out)
	}
	p.env[slices.Index(p.env, "METRICS_ADDR="+p.args[2])] = "METRICS_ADDR=9091"
	if out, code := p.run(p.args...); code != 1 || !strings.Contains(out, "METRICS_ADDR must be an address with a port, such as 127.0.0.1:9091") {
		t.Errorf("ended with %d: %s", code, out)
	}
}

// The example dashboard for Grafana asks only for metrics and labels that there are.
func TestGrafanaDashboard(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "examples", "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &dashboard); err != nil || len(dashboard.Panels) < 10 {
		t.Fatal(len(dashboard.Panels), err)
	}
	m := newMetrics()
	m.watch(&sessions{}, "")
	m.begun(&Plugin{})
	m.ended(ending{})
	m.tokenRequest(&Plugin{}, "refresh_token", 200, nil, time.Second)
	m.refresh(&Plugin{}, nil)
	m.sweep(swept{}, time.Second, nil)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{} // the labels of each metric
	for _, family := range families {
		labels := " le "
		for _, label := range family.Metric[0].Label {
			labels += label.GetName() + " "
		}
		known[family.GetName()] = labels
		if family.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[family.GetName()+suffix] = labels
			}
		}
	}
	metric := regexp.MustCompile(`((?:plugin_oauth|process)_[a-z_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z]+)=`)
	by := regexp.MustCompile(`by \(([^)]*)\)`)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			names := metric.FindAllStringSubmatch(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("%s asks for nothing", panel.Title)
			}
			for _, name := range names {
				labels, found := known[name[1]]
				if !found {
					t.Errorf("%s asks for %s", panel.Title, name[1])
				}
				wanted := label.FindAllStringSubmatch(name[2], -1)
				if grouped := by.FindStringSubmatch(target.Expr); grouped != nil {
					for _, group := range strings.Split(grouped[1], ", ") {
						wanted = append(wanted, []string{"", group})
					}
				}
				for _, want := range wanted {
					if !strings.Contains(labels, " "+want[1]+" ") {
						t.Errorf("%s: %s has no label %s, but%s", panel.Title, name[1], want[1], labels)
					}
				}
			}
		}
	}
}

package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session"
)

// metrics are what METRICS_ADDR serves. Their labels come from this file and from the plugins' slugs, never
// from a request.
type metrics struct {
	registry *prometheus.Registry
	ofEtcd   prometheus.Gatherer // nil: this machine is alone

	started       *prometheus.CounterVec   // by plugin
	ended         *prometheus.CounterVec   // by plugin, outcome
	tokenRequests *prometheus.HistogramVec // by plugin, grant, status; in seconds
	refreshes     *prometheus.CounterVec   // by plugin, outcome
	apiCalls      *prometheus.HistogramVec // by plugin, status; in seconds
	polls         [len(pollAnswers)]prometheus.Counter
	waiting       prometheus.Gauge
	sweeps        *prometheus.HistogramVec // by result; in seconds
	sweptRows     *prometheus.CounterVec   // by action
}

// The answers to polls.
const (
	answerTokens = iota
	answerPending
	answerUnknown
	answerExpired
	answerEnded   // denied or failed
	answerInvalid // no read key
	answerError   // the service failed, or the plugin was gone
)

// pollAnswers are their names.
var pollAnswers = [...]string{
	"tokens", "authorization_pending", "not_found", "expired_token", "ended", "invalid_request", "error",
}

// newMetrics returns the metrics of a server. The number of pending logins is read only when it is asked for.
func newMetrics(sessions *session.Sessions, version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_logins_started_total",
			Help: "Logins that began.",
		}, []string{"plugin"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_logins_ended_total",
			Help: "Logins that ended: claimed, denied, failed or expired.",
		}, []string{"plugin", "outcome"}),
		tokenRequests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plugin_oauth_token_request_duration_seconds",
			Help: "How long token endpoints took, by their status: 2xx, 4xx and so on, timeout, or " +
				"unreachable.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"plugin", "grant", "status"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_refreshes_total",
			Help: "Answers of /refresh: tokens, refused (the person must sign in again), or error.",
		}, []string{"plugin", "outcome"}),
		apiCalls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plugin_oauth_api_call_duration_seconds",
			Help: "How long APIs took until the head of their answers to calls through /fetch, by their " +
				"status: 2xx, 4xx and so on, or none.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10, 30},
		}, []string{"plugin", "status"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "plugin_oauth_polls_waiting",
			Help: "Polls that are held until their login ends.",
		}),
		sweeps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "plugin_oauth_sweep_duration_seconds",
			Help:    "How long a sweep took: each minute, and while an admin looks.",
			Buckets: []float64{.001, .01, .1, 1, 10, 60},
		}, []string{"result"}),
		sweptRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_sweep_sessions_total",
			Help: "Sessions that the sweep ended (expired) or removed.",
		}, []string{"action"}),
	}
	polls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plugin_oauth_polls_total",
		Help: "Polls by what they were answered.",
	}, []string{"answer"})
	for answer, name := range pollAnswers {
		m.polls[answer] = polls.WithLabelValues(name)
	}
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "plugin_oauth_build_info",
		Help: "Always 1; the labels say what is running.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	pending := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "plugin_oauth_logins_pending",
		Help: "Logins under way.",
	}, func() float64 { return float64(sessions.PendingCount()) })
	for _, result := range []string{"ok", "failed"} {
		m.sweeps.WithLabelValues(result)
	}
	for _, action := range []string{"expired", "removed"} {
		m.sweptRows.WithLabelValues(action)
	}
	m.registry.MustRegister(build, pending, m.started, m.ended, m.tokenRequests, m.refreshes, m.apiCalls,
		polls, m.waiting, m.sweeps, m.sweptRows,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// addDisk adds how much room there is on the disk with the data folder, where the system says it.
func (m *metrics) addDisk(dataDir string) {
	if _, known := doctor.FreeSpace(dataDir); !known {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "plugin_oauth_disk_free_bytes",
		Help: "Room on the disk with the data folder. When it is full, no login can begin.",
	}, func() float64 {
		bytes, _ := doctor.FreeSpace(dataDir)
		return float64(bytes)
	}))
}

// The statuses of the histograms, in so far as they occur.
var (
	tokenStatuses = []string{"2xx", "3xx", "4xx", "5xx", "timeout", "unreachable"}
	apiStatuses   = []string{"2xx", "3xx", "4xx", "5xx", "none"}
)

// addPlugin makes all that is counted for a plugin exist, at zero if nothing was counted yet. To Prometheus a
// series that begins with its first failure has not increased, so nobody would be told of that one.
func (m *metrics) addPlugin(plugin *plugins.Plugin) {
	label := plugins.DisplaySlug(plugin.Slug)
	m.started.WithLabelValues(label)
	for _, status := range []session.Status{
		session.StatusClaimed, session.StatusDenied, session.StatusFailed, session.StatusExpired,
	} {
		m.ended.WithLabelValues(label, string(status))
	}
	for _, outcome := range []string{refreshTokens, refreshRefused, refreshError} {
		m.refreshes.WithLabelValues(label, outcome)
	}
	for _, status := range tokenStatuses {
		m.tokenRequests.WithLabelValues(label, "authorization_code", status)
		m.tokenRequests.WithLabelValues(label, "refresh_token", status)
	}
	if len(plugin.APIHosts) == 0 {
		return
	}
	for _, status := range apiStatuses {
		m.apiCalls.WithLabelValues(label, status)
	}
}

// gatherMetrics returns the metrics, of the plugins that were added a moment ago, too.
func (s *server) gatherMetrics() ([]*dto.MetricFamily, error) {
	enabled, err := s.enabledPlugins()
	if err != nil {
		return nil, err
	}
	for _, plugin := range enabled {
		s.metrics.addPlugin(plugin)
	}
	families, err := s.metrics.registry.Gather()
	ofEtcd, etcdErr := s.metrics.gatherEtcd()
	return append(families, ofEtcd...), errors.Join(err, etcdErr)
}

func (s *server) enabledPlugins() (enabled []*plugins.Plugin, err error) {
	records, err := s.records.All()
	if err != nil {
		return nil, err
	}
	if s.config.Plugin != nil {
		enabled = append(enabled, s.config.Plugin)
	}
	for _, plugin := range records {
		if plugin.State != plugins.SwitchedOff {
			enabled = append(enabled, plugin)
		}
	}
	return enabled, nil
}

// failingPlugins is the metric that says which plugins fail. It has those that there are when it is asked.
type failingPlugins struct{ server *server }

var failingPluginsDesc = prometheus.NewDesc("plugin_oauth_plugin_failing",
	"1 while requests to the provider fail, one after another, for reasons that no stranger can give; "+
		"else 0.",
	[]string{"plugin"}, nil)

// Describe implements [prometheus.Collector].
func (f failingPlugins) Describe(descs chan<- *prometheus.Desc) { descs <- failingPluginsDesc }

// Collect implements [prometheus.Collector].
func (f failingPlugins) Collect(metrics chan<- prometheus.Metric) {
	enabled, err := f.server.enabledPlugins()
	if err != nil {
		metrics <- prometheus.NewInvalidMetric(failingPluginsDesc, err)
		return
	}
	for _, plugin := range enabled {
		failing := 0.0
		if f.server.alerts.watch.IsFailing(plugin.Slug) {
			failing = 1
		}
		metrics <- prometheus.MustNewConstMetric(failingPluginsDesc, prometheus.GaugeValue, failing,
			plugins.DisplaySlug(plugin.Slug))
	}
}

func (m *metrics) loginStarted(slug string) {
	m.started.WithLabelValues(plugins.DisplaySlug(slug)).Inc()
}

func (m *metrics) loginEnded(outcome session.Outcome) {
	m.ended.WithLabelValues(plugins.DisplaySlug(outcome.Plugin), string(outcome.Status)).Inc()
}

// tokenRequest counts a request to a token endpoint.
func (m *metrics) tokenRequest(slug string, call oauth.Call) {
	label := "unreachable"
	if provider, ok := errors.AsType[*oauth.Error](call.Err); ok && provider.Meaning == oauth.TimedOut {
		label = "timeout"
	} else if class := statusClass(call.Status); class != "" {
		label = class
	}
	m.tokenRequests.WithLabelValues(plugins.DisplaySlug(slug), call.GrantType,
		label).Observe(call.Duration.Seconds())
}

// statusClass returns the class of a status, such as 2xx, or "" if it is none.
func statusClass(status int) string {
	if status < 100 || status >= 600 {
		return ""
	}
	return []string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

// apiCall counts a call through /fetch. A status of zero says that there was no answer.
func (m *metrics) apiCall(slug string, status int, took time.Duration) {
	m.apiCalls.WithLabelValues(plugins.DisplaySlug(slug), cmp.Or(statusClass(status), "none")).
		Observe(took.Seconds())
}

// The answers of /refresh.
const refreshTokens, refreshRefused, refreshError = "tokens", "refused", "error"

// refresh counts an answer of /refresh.
func (m *metrics) refresh(slug string, err error) {
	outcome := refreshTokens
	if provider, ok := errors.AsType[*oauth.Error](err); ok && provider.Meaning == oauth.InvalidGrant {
		outcome = refreshRefused
	} else if err != nil {
		outcome = refreshError
	}
	m.refreshes.WithLabelValues(plugins.DisplaySlug(slug), outcome).Inc()
}

// poll counts a poll by its answer.
func (m *metrics) poll(err error) {
	answer := answerError
	_, failed := errors.AsType[*session.Failure](err)
	switch {
	case err == nil:
		answer = answerTokens
	case failed:
		answer = answerEnded
	case errors.Is(pollError(err), errStillPending):
		answer = answerPending
	case errors.Is(err, session.ErrUnknown):
		answer = answerUnknown
	case errors.Is(err, session.ErrExpired):
		answer = answerExpired
	case errors.Is(err, errNoReadKey):
		answer = answerInvalid
	}
	m.polls[answer].Inc()
}

func (m *metrics) sweep(done session.Swept, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.sweeps.WithLabelValues(result).Observe(took.Seconds())
	m.sweptRows.WithLabelValues("expired").Add(float64(done.Expired))
	m.sweptRows.WithLabelValues("removed").Add(float64(done.Removed))
}

// serveMetrics answers GET /metrics on METRICS_ADDR, in Prometheus' text format, until the service ends. It
// needs no sign-in: the address is meant for the machine itself, or for a private network. Its connections
// count with the others all the same, in case strangers reach it.
func (s *server) serveMetrics() error {
	if s.config.MetricsAddr == "" {
		return nil
	}
	listener, err := net.Listen("tcp", s.config.MetricsAddr)
	if err != nil {
		// The cause is not wrapped: main would advise another address for --http, which would not help.
		return fmt.Errorf("METRICS_ADDR cannot be used; end the program that uses this address, or set "+
			"another: %v",
			err)
	}
	gatherer := prometheus.GathererFunc(s.gatherMetrics)
	options := promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}
	scrape := promhttp.HandlerFor(gatherer, options)
	// A ServeMux would redirect from other spellings, with a page that repeats the query; see isFolder.
	handler := s.ownHostsOnly(listener.Addr(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		scrape.ServeHTTP(w, r)
	}))
	metricsServer := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r, end := s.connections.begin(r)
			defer end()
			handler.ServeHTTP(w, r)
		}),
		ConnContext:         s.connections.connContext,
		MaxHeaderBytes:      maxHeaders,
		MaxHeaderValueCount: maxHeaderValues,
		ReadTimeout:         s.config.timing.headers,
		WriteTimeout:        s.config.timing.answer,
		IdleTimeout:         s.config.timing.idle,
	}
	go metricsServer.Serve(s.connections.listen(listener, plainMemory)) // until it is closed
	go func() {
		<-s.closing
		metricsServer.Close()
	}()
	return nil
}

// maxScrapes is how many may be answered at a time. Each looks at all counters, and at etcd's.
const maxScrapes = 10

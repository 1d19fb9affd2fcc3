package hooks

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the figures of METRICS_ADDR. Their labels come from here and from the slugs of the plugins, never from a request.
type metrics struct {
	registry *prometheus.Registry

	started       *prometheus.CounterVec   // by plugin
	ends          *prometheus.CounterVec   // by plugin, outcome
	tokenRequests *prometheus.HistogramVec // by plugin, grant, status; in seconds
	refreshes     *prometheus.CounterVec   // by plugin, outcome
	polls         [len(pollAnswers)]prometheus.Counter
	waiting       prometheus.Gauge
	sweeps        *prometheus.HistogramVec // by result; in seconds
	sweptRows     *prometheus.CounterVec   // by action
}

// What a poll was answered.
const (
	answerTokens = iota
	answerPending
	answerUnknown
	answerExpired
	answerEnded   // denied or failed
	answerInvalid // no read key
	answerError   // of our own, or the plugin was gone
)

// pollAnswers are their names.
var pollAnswers = [...]string{"tokens", "authorization_pending", "not_found", "expired_token", "ended", "invalid_request", "error"}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_logins_started_total", Help: "Logins that began.",
		}, []string{"plugin"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_logins_ended_total", Help: "Logins that ended: claimed, denied, failed or expired.",
		}, []string{"plugin", "outcome"}),
		tokenRequests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plugin_oauth_token_request_duration_seconds", Help: "How long token endpoints took, by their status: 2xx, 4xx and so on, timeout, or unreachable.",
			Buckets: []float64{.05, .1, .2, .5, 1, 2, 5, 10},
		}, []string{"plugin", "grant", "status"}),
		refreshes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_refreshes_total", Help: "Answers of /refresh: tokens, refused (the person must sign in again), or error.",
		}, []string{"plugin", "outcome"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "plugin_oauth_polls_waiting", Help: "Polls that are held until their login ends.",
		}),
		sweeps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "plugin_oauth_sweep_duration_seconds", Help: "How long a sweep took: each minute, and while an admin looks.",
			Buckets: []float64{.001, .01, .1, 1, 10, 60},
		}, []string{"result"}),
		sweptRows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "plugin_oauth_sweep_sessions_total", Help: "Sessions that the sweep ended (expired) or removed.",
		}, []string{"action"}),
	}
	polls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "plugin_oauth_polls_total", Help: "Polls by what they were answered.",
	}, []string{"answer"})
	for answer, name := range pollAnswers {
		m.polls[answer] = polls.WithLabelValues(name)
	}
	m.registry.MustRegister(m.started, m.ends, m.tokenRequests, m.refreshes, polls, m.waiting, m.sweeps, m.sweptRows,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds what is read only when it is asked for.
func (m *metrics) watch(s *sessions, version string) {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "plugin_oauth_build_info", Help: "Always 1; the labels say what is running.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(build, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "plugin_oauth_logins_pending", Help: "Logins under way.",
	}, func() float64 {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return float64(len(s.byID))
	}))
}

func (m *metrics) begun(p *Plugin) { m.started.WithLabelValues(plainSlug(p.Slug)).Inc() }

func (m *metrics) ended(e ending) { m.ends.WithLabelValues(plainSlug(e.plugin), e.outcome).Inc() }

// tokenRequest counts a request to a token endpoint. Without a status, err says why.
func (m *metrics) tokenRequest(p *Plugin, grant string, status int, err error, took time.Duration) {
	label := "unreachable"
	if problem, ok := errors.AsType[*problem](err); ok && problem.Status == http.StatusGatewayTimeout {
		label = "timeout"
	} else if status >= 100 && status < 600 {
		label = []string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
	}
	m.tokenRequests.WithLabelValues(plainSlug(p.Slug), grant, label).Observe(took.Seconds())
}

// refresh counts an answer of /refresh.
func (m *metrics) refresh(p *Plugin, err error) {
	outcome := "tokens"
	if problem, ok := errors.AsType[*problem](err); ok && meaningOf(problem.Code) == meansWrongGrant {
		outcome = "refused"
	} else if err != nil {
		outcome = "error"
	}
	m.refreshes.WithLabelValues(plainSlug(p.Slug), outcome).Inc()
}

// poll counts an answer of /poll.
func (m *metrics) poll(err error) {
	answer := answerError
	switch problem, _ := err.(*problem); {
	case err == nil:
		answer = answerTokens
	case problem == pollPending:
		answer = answerPending
	case problem == pollUnknown:
		answer = answerUnknown
	case problem == pollExpired:
		answer = answerExpired
	case problem == pollNoKey:
		answer = answerInvalid
	case problem != nil && problem.Status == http.StatusBadRequest:
		answer = answerEnded
	}
	m.polls[answer].Inc()
}

func (m *metrics) sweep(done swept, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.sweeps.WithLabelValues(result).Observe(took.Seconds())
	m.sweptRows.WithLabelValues("expired").Add(float64(done.expired))
	m.sweptRows.WithLabelValues("removed").Add(float64(done.removed))
}

// serveMetrics answers GET /metrics on METRICS_ADDR, in Prometheus' text format, until the service ends. Nobody signs in there:
// the address is for the machine itself, or for a private network.
func (r *relay) serveMetrics() error {
	if r.config.MetricsAddr == "" {
		return nil
	}
	listener, err := net.Listen("tcp", r.config.MetricsAddr)
	if err != nil {
		// Without the cause: another address of --http would not help.
		return fmt.Errorf("METRICS_ADDR cannot be used; end the program that uses this address, or set another: %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go server.Serve(listener) // until it is closed
	go func() {
		<-r.closing
		server.Close()
	}()
	return nil
}

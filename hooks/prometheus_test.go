package hooks

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// promtool runs Prometheus' tool, and returns what it prints. Without it the test is skipped, except where
// PROMETHEUS_TEST=required.
func promtool(t *testing.T, args ...string) (printed string, err error) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		testkit.Missing(t, "PROMETHEUS_TEST", "promtool is not installed; Debian's package prometheus has it")
	}
	output, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(output), err
}

// scraped is what Prometheus knows of a run after an hour: each series with a value for each minute.
type scraped map[string][]string

// promMinutes is how long a run is for Prometheus.
const promMinutes = 60

// addScrape adds what the service answers at this moment, as what it answers for so many minutes.
func (s scraped) addScrape(t *testing.T, address string, minutes int) {
	t.Helper()
	var response *http.Response
	eventually(t, "the metrics can be read", func() (ready bool) {
		var err error
		response, err = http.Get("http://" + address + "/metrics")
		return err == nil
	})
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	before := 0
	for _, values := range s {
		before = max(before, len(values))
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		last := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || last < 0 {
			continue
		}
		value := line[last+1:]
		name, labels, _ := strings.Cut(line[:last], "{")
		labels = strings.TrimSuffix(labels, "}")
		if labels != "" {
			labels = "," + labels
		}
		series := name + `{job="plugin-oauth",instance="here"` + labels + `}`
		if s[series] == nil {
			s[series] = slices.Repeat([]string{"_"}, before)
		}
		s[series] = append(s[series], slices.Repeat([]string{value}, minutes)...)
	}
}

// with returns a copy in which a series has other values, in Prometheus' notation.
func (s scraped) with(series, values string) scraped {
	changed := maps.Clone(s)
	changed[series] = []string{values}
	return changed
}

// promTest is a test of promtool:
// https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
type promTest struct {
	name   string
	data   scraped
	expect []promExpect
}

// promExpect says that a query has one sample at a minute, with a value, and no labels; or, without a value,
// that it has none.
type promExpect struct {
	query  string
	minute int
	value  string
}

// runPromTests runs tests of the rules in examples/prometheus, which are in JSON, since that is YAML, too.
func runPromTests(t *testing.T, tests []promTest) {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join("..", "examples", "prometheus", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var groups []any
	for _, test := range tests {
		var series, expressions []any
		for name, values := range test.data {
			series = append(series, map[string]any{"series": name, "values": strings.Join(values, " ")})
		}
		for _, expect := range test.expect {
			samples := []any{}
			if expect.value != "" {
				samples = append(samples, map[string]any{"labels": "{}", "value": json.Number(expect.value)})
			}
			expressions = append(expressions, map[string]any{
				"expr": expect.query, "eval_time": fmt.Sprintf("%dm", expect.minute), "exp_samples": samples,
			})
		}
		groups = append(groups, map[string]any{
			"name": test.name, "interval": "1m", "input_series": series, "promql_expr_test": expressions,
		})
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	content, err := json.Marshal(map[string]any{
		"rule_files": []string{rules}, "evaluation_interval": "1m", "tests": groups,
	})
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if printed, err := promtool(t, "test", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

// scrapeRun scrapes the program: first with nobody, then with people who sign in, and then with a secret that
// the provider does not take any more.
func scrapeRun(t *testing.T) (healthy, failing scraped) {
	t.Helper()
	address, p := freeAddress(t), testkit.NewProcess(t)
	p.Env = append(p.Env, "METRICS_ADDR="+address)
	p.Start()
	healthy, failing = scraped{}, scraped{}
	scrape := func(data scraped, minutes int) { data.addScrape(t, address, minutes) }
	scrape(healthy, 10)
	scrape(failing, 10)
	for range 4 {
		_, readKey := p.Login()
		p.Poll(readKey)
		p.Post("/refresh?code=" + rand.Text())
	}
	scrape(healthy, promMinutes-10)
	scrape(failing, 10)
	p.Provider.Answers(answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	p.Login()
	p.Post("/refresh?code=" + rand.Text())
	scrape(failing, 10)
	for range 7 {
		p.Login()
		p.Post("/refresh?code=" + rand.Text())
	}
	scrape(failing, promMinutes-30)
	// The run took a second, but the sweep runs each minute.
	for _, data := range []scraped{healthy, failing} {
		data[promUp], data[promSweeps] = []string{"1x60"}, []string{"0+1x60"}
	}
	return healthy, failing
}

// Series of a run.
const (
	promUp     = `up{job="plugin-oauth",instance="here"}`
	promSweeps = `plugin_oauth_sweep_duration_seconds_count{job="plugin-oauth",instance="here",result="ok"}`
	promQuorum = `plugin_oauth_cluster_quorum{job="plugin-oauth",instance="here"}`
	promDisk   = `plugin_oauth_disk_free_bytes{job="plugin-oauth",instance="here"}`
)

// The alerts are silent while all is well, and each is raised by its fault.
func TestPrometheusAlerts(t *testing.T) {
	t.Parallel()
	if printed, err := promtool(t, "check", "rules", filepath.Join("..", "examples", "prometheus",
		"alerts.yml")); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	healthy, failing := scrapeRun(t)
	firing := func(alert string) string {
		return `count(ALERTS{alertstate="firing",alertname=~"` + alert + `"})`
	}
	at := func(minute int, alerts ...string) (expect []promExpect) {
		for _, alert := range alerts {
			expect = append(expect, promExpect{query: firing(alert), minute: minute, value: "1"})
		}
		if len(alerts) == 0 {
			return []promExpect{{query: firing(".*"), minute: minute}}
		}
		return append(expect, promExpect{query: firing(".*"), minute: minute, value: fmt.Sprint(len(alerts))})
	}
	runPromTests(t, []promTest{
		{name: "all is well", data: healthy, expect: slices.Concat(at(1), at(15), at(60))},
		{
			name: "the secret is refused", data: failing,
			expect: slices.Concat(at(15), at(25),
				at(35, "PluginOAuthPluginFails", "PluginOAuthSignInsFail", "PluginOAuthRefreshesFail")),
		},
		{name: "down", data: healthy.with(promUp, "1x30 0x30"), expect: at(40, "PluginOAuthDown")},
		{name: "gone", data: scraped{}, expect: at(40, "PluginOAuthDown")},
		{name: "no sweep", data: healthy.with(promSweeps, "0+1x30 30x30"), expect: slices.Concat(at(32),
			at(50, "PluginOAuthSweepFails"))},
		{name: "little room", data: healthy.with(promDisk, "1e9x30 1e8x30"),
			expect: slices.Concat(at(30), at(40, "PluginOAuthDiskAlmostFull"))},
		{name: "no quorum", data: healthy.with(promQuorum, "1x30 0x30"),
			expect: slices.Concat(at(30), at(35, "PluginOAuthNoQuorum"))},
	})
}

// grafanaDashboard is what the tests read of examples/grafana.json.
type grafanaDashboard struct{ Panels []grafanaPanel }

// grafanaPanel is a panel, or a row that has panels of a cluster.
type grafanaPanel struct {
	Title       string
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr string }
	Panels      []grafanaPanel
}

// query returns a query of the dashboard, as it is for a job and for all plugins.
func (panel grafanaPanel) query(target int, job string) string {
	return strings.NewReplacer("$job", job, "$plugin", ".*", "$__rate_interval", "4m").
		Replace(panel.Targets[target].Expr)
}

func readGrafanaDashboard(t *testing.T) grafanaDashboard {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "examples", "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard grafanaDashboard
	if err := json.Unmarshal(content, &dashboard); err != nil || len(dashboard.Panels) < 10 {
		t.Fatal(len(dashboard.Panels), err)
	}
	return dashboard
}

// Each query of the dashboard for Grafana has a series before anything was counted, and none of another job.
// The first failure shows.
func TestGrafanaQueries(t *testing.T) {
	t.Parallel()
	_, failing := scrapeRun(t)
	test := promTest{name: "Grafana", data: failing}
	add := func(minute int, query, value string) {
		test.expect = append(test.expect, promExpect{query: query, minute: minute, value: value})
	}
	for _, panel := range readGrafanaDashboard(t).Panels {
		for i := range panel.Targets {
			query := func(job string) string { return panel.query(i, job) }
			add(5, "count("+query("plugin-oauth")+") > bool 0", "1")
			add(5, "count("+query("another")+")", "")
			add(5, "count("+query(".+")+") > bool 0", "1")
			switch panel.Title {
			case "Share of sign-ins that worked":
				add(15, query("plugin-oauth"), "1")
				add(25, query("plugin-oauth")+" < bool 0.85", "1")
				add(35, query("plugin-oauth")+" < bool 0.4", "1")
			case "Sign-ins per minute, by how they ended", "Refreshes per minute":
				first := `sum(` + strings.Replace(query("plugin-oauth"), `plugin=~`,
					`outcome=~"failed|error",plugin=~`, 1) + `) > bool 0`
				add(15, first, "0")
				add(21, first, "1")
			case "Plugins that fail":
				add(25, query("plugin-oauth"), "0")
				add(35, query("plugin-oauth"), "1")
			}
		}
	}
	runPromTests(t, []promTest{test})
}

// expectClusterPanels checks that each query of the dashboard's row of a cluster has a series of a machine.
func expectClusterPanels(t *testing.T, metrics string) {
	t.Helper()
	test := promTest{name: "cluster", data: scraped{}}
	test.data.addScrape(t, metrics, promMinutes)
	for _, row := range readGrafanaDashboard(t).Panels {
		for _, panel := range row.Panels {
			for i := range panel.Targets {
				query := "count(" + panel.query(i, "plugin-oauth") + ")"
				test.expect = append(test.expect, promExpect{query: query, minute: 50, value: "1"})
			}
		}
	}
	if len(test.expect) == 0 {
		t.Error("the dashboard has no row for a cluster")
	}
	runPromTests(t, []promTest{test})
}

// The units of the dashboard for Grafana are those of its queries.
func TestGrafanaUnits(t *testing.T) {
	t.Parallel()
	units := []struct {
		query *regexp.Regexp
		unit  string
	}{
		{query: regexp.MustCompile(`^sum\(increase\(.*\)\) / sum\(increase\(`), unit: "percentunit"},
		{query: regexp.MustCompile(`^60 \* .*rate\(`), unit: "cpm"},
		{query: regexp.MustCompile(`seconds_sum.* / .*seconds_count`), unit: "s"},
		{query: regexp.MustCompile(`^histogram_quantile\(.*seconds_bucket`), unit: "s"},
		{query: regexp.MustCompile(`_bytes\{`), unit: "bytes"},
		{query: regexp.MustCompile(`^plugin_oauth_cluster_watch_lag_seconds`), unit: "s"},
		{query: regexp.MustCompile(`rate\(plugin_oauth_polls_total`), unit: "reqps"},
		{query: regexp.MustCompile(``), unit: "short"},
	}
	panels := readGrafanaDashboard(t).Panels
	for _, row := range panels {
		panels = append(panels, row.Panels...)
	}
	for _, panel := range panels {
		for _, target := range panel.Targets {
			for _, known := range units {
				if !known.query.MatchString(target.Expr) {
					continue
				}
				if unit := panel.FieldConfig.Defaults.Unit; unit != known.unit {
					t.Errorf("%s: the unit is %s, want %s", panel.Title, unit, known.unit)
				}
				break
			}
		}
	}
}

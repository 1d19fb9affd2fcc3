package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"plugin-oauth/internal/browser"
	"plugin-oauth/internal/testkit"
)

//go:embed fetch_test.html
var fetchTestHTML string

// A page calls an API that no browser lets it call, through /fetch. Each scenario is in the page.
func TestFetchInBrowsers(t *testing.T) {
	t.Parallel()
	browser.Each(t, testFetch)
}

func testFetch(t *testing.T, engine browser.Engine) {
	f := startFetchPage(t)
	browser.Open(t, engine, f.address)
	select {
	case report := <-f.reports:
		if len(report) < 10 {
			t.Errorf("only %d scenarios ran", len(report))
		}
		for scenario, failure := range report {
			t.Run(scenario, func(t *testing.T) {
				if failure != "" {
					t.Error(failure)
				}
			})
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the page does not report")
	}
}

// fetchPage is the page with the APIs that it calls.
type fetchPage struct {
	address string
	reports chan map[string]string // what failed, by scenario; blank: nothing
	next    chan struct{}          // the page has read a piece
	aborted chan struct{}          // the endless answer has ended
	second  *testkit.API
}

func startFetchPage(t *testing.T) *fetchPage {
	t.Helper()
	f := &fetchPage{
		reports: make(chan map[string]string, 1), next: make(chan struct{}), aborted: make(chan struct{}),
		second: testkit.NewAPI(t, nil),
	}
	first := testkit.NewAPI(t, f.answer)
	backend := testkit.NewProcess(t)
	backend.Env = append(append(backend.Env, testkit.SuperuserEnv()...),
		"API_HOSTS="+first.Host+","+f.second.Host, "ENCRYPTION_KEY=0123456789abcdef0123456789abcdef")
	backend.Start()
	other := backend.Plugin("other")
	client := other.Provider.Client(other.URL)
	other.Provider.Knows(client)
	if got := backend.CreatePlugin(map[string]any{
		"slug": "other", "enabled": true, "apiHosts": f.second.Host, "scope": client.Scope,
		"clientId": client.ClientID, "clientSecret": client.ClientSecret,
		"authorizeEndpoint": client.AuthorizeEndpoint, "tokenEndpoint": client.TokenEndpoint,
	}); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	f.address = serve(t, f) + "/?" + url.Values{
		"first": {first.Host}, "second": {f.second.Host}, "backend": {backend.URL}, "other": {other.URL},
	}.Encode()
	return f
}

// ServeHTTP serves the page, and what the page tells the APIs behind the backend's back.
func (f *fetchPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		io.WriteString(w, fetchTestHTML)
	case "/broken":
		breakOff(w)
	case "/too-large":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, `{"error":"invalid_request"}`)
	case "/next":
		select {
		case f.next <- struct{}{}:
		case <-r.Context().Done():
		}
	case "/aborted":
		select {
		case <-f.aborted:
			io.WriteString(w, "left alone")
		case <-r.Context().Done():
		}
	case "/report":
		var report map[string]string
		if err := json.NewDecoder(r.Body).Decode(&report); err == nil {
			f.reports <- report
		}
	default:
		http.NotFound(w, r)
	}
}

// breakOff answers by half.
func breakOff(w http.ResponseWriter) {
	io.WriteString(w, "half")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// answer is that of the first API, where it is not testkit's.
func (f *fetchPage) answer(w http.ResponseWriter, r *http.Request) (handled bool) {
	flush := http.NewResponseController(w).Flush
	switch r.URL.Path {
	case "/sum":
		body, err := io.ReadAll(r.Body)
		sum := 0
		for _, octet := range body {
			sum += int(octet)
		}
		if err == nil {
			fmt.Fprintf(w, "%d bytes, %d", len(body), sum)
		}
	case "/pieces":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 4 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = flush()
			select {
			case <-f.next:
			case <-r.Context().Done():
				return true
			}
		}
	case "/endless":
		io.WriteString(w, "a piece")
		_ = flush()
		<-r.Context().Done()
		close(f.aborted)
	case "/broken":
		breakOff(w)
	case "/moved":
		http.Redirect(w, r, f.second.Host+"/echo?moved", http.StatusFound)
	case "/busy":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"code":"rate_limited"}`)
	default:
		return false
	}
	return true
}

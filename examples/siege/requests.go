package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// query is a request to the service.
type query struct {
	method string

	// target is the path with its query.
	target string

	// network is the address that the proxy would see it come from.
	network string

	// json is the body. Blank: there is none.
	json string

	// token is sent as the access token. Blank: none is.
	token string

	// padding is what the headers User-Agent and Referer are filled with.
	padding string
}

// answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends a request.
func (s *server) ask(q query) (answer, error) {
	request, err := http.NewRequest(q.method, s.url+q.target, strings.NewReader(q.json))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Fly-Client-IP", q.network)
	name, origin, _ := strings.Cut(siegeOrigin, ": ")
	request.Header.Set(name, origin)
	if q.token != "" {
		request.Header.Set("Authorization", "Bearer "+q.token)
	}
	if q.json != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if q.padding != "" {
		request.Header.Set("User-Agent", q.padding)
		request.Header.Set("Referer", "https://provider.example/"+q.padding)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: body}, err
}

// siegeOrigin is the header with the plugin's origin.
const siegeOrigin = "Origin: https://siege.plugins.framercdn.com"

// callAPI calls the provider's API through the service, with a token that the service does not know.
func (s *server) callAPI(network string) error {
	_, err := s.want(query{method: http.MethodGet, target: s.apiCall, network: network, token: "unknown"})
	return err
}

// want sends a request, and fails if the answer is not 200.
func (s *server) want(q query) (answer, error) {
	got, err := s.ask(q)
	if err == nil && got.status != http.StatusOK {
		path, _, _ := strings.Cut(q.target, "?")
		err = fmt.Errorf("%s answers %d: %.100s", path, got.status, got.body)
	}
	return got, err
}

// login is one that is under way.
type login struct {
	network, state, readKey string
}

// begin starts a login.
func (s *server) begin(network string) (login, error) {
	got, err := s.want(query{method: http.MethodPost, target: "/authorize", network: network})
	if err != nil {
		return login{}, err
	}
	var started struct{ URL, ReadKey string }
	if err := json.Unmarshal(got.body, &started); err != nil {
		return login{}, err
	}
	address, err := url.Parse(started.URL)
	if err != nil {
		return login{}, err
	}
	state := address.Query().Get("state")
	return login{network: network, state: state, readKey: started.ReadKey}, nil
}

// redirect brings the browser of a login back with a code.
func (s *server) redirect(l login, code string) (answer, error) {
	target := "/redirect?code=" + code + "&state=" + url.QueryEscape(l.state)
	return s.ask(query{method: http.MethodGet, target: target, network: l.network})
}

// finish finishes a login, and returns its refresh token.
func (s *server) finish(l login) (refreshToken string, err error) {
	page, err := s.redirect(l, goodToken)
	if err != nil {
		return "", err
	}
	if page.status != http.StatusOK {
		return "", fmt.Errorf("/redirect answers %d", page.status)
	}
	poll := "/poll?readKey=" + url.QueryEscape(l.readKey)
	got, err := s.want(query{method: http.MethodPost, target: poll, network: l.network})
	if err != nil {
		return "", err
	}
	return refreshTokenOf(got)
}

// signIn is a whole login.
func (s *server) signIn(network string) (refreshToken string, err error) {
	started, err := s.begin(network)
	if err != nil {
		return "", err
	}
	return s.finish(started)
}

// refreshTokenOf reads a token response.
func refreshTokenOf(got answer) (string, error) {
	var tokens struct {
		RefreshToken string `json:"refresh_token"`
	}
	err := json.Unmarshal(got.body, &tokens)
	return tokens.RefreshToken, err
}

// tally counts answers. Its zero value has none yet. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	failed error // the first
}

// add counts something of a name, such as a status.
func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[name]++
}

// fail counts an error.
func (t *tally) fail(err error) {
	t.add("no answer")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

// count returns how many there are of a name.
func (t *tally) count(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[name]
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(t.counts)) {
		parts = append(parts, fmt.Sprintf("%s: %d", name, t.counts[name]))
	}
	if t.failed != nil {
		parts = append(parts, t.failed.Error())
	}
	return strings.Join(parts, ", ")
}

// send sends a request and counts its answer.
func (s *server) send(q query, answers *tally) {
	got, err := s.ask(q)
	if err != nil {
		answers.fail(err)
		return
	}
	answers.add(fmt.Sprint(got.status))
}

// floodLimit bounds a flood of so many requests.
const floodLimit = 5 * time.Minute

// flood sends so many requests, some at the same time, and returns how many it has sent: fewer if that takes
// more than five minutes.
func (s *server) flood(requests int, request func(i int) query) (sent int, answers *tally) {
	const workers = 32
	answers = &tally{}
	numbers := make(chan int)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := range numbers {
				s.send(request(i), answers)
			}
		})
	}
	for deadline := time.Now().Add(floodLimit); sent < requests && time.Now().Before(deadline); sent++ {
		numbers <- sent
	}
	close(numbers)
	working.Wait()
	return sent, answers
}

// paced is what a step that is repeated at a steady pace has done.
type paced struct {
	times    []time.Duration // of those that succeeded
	failures int
	failed   error // the first
}

// pace repeats a step until the context ends, once in each interval, one at a time. What a step takes counts
// from when its turn came, even if the steps before were late: else one that takes long would hide how many
// would have had to wait.
func pace(ctx context.Context, interval time.Duration, step func(i int) error) (done paced) {
	began := time.Now()
	for i := 0; ; i++ {
		due := began.Add(time.Duration(i) * interval)
		select {
		case <-ctx.Done():
			return done
		case <-time.After(time.Until(due)):
		}
		if ctx.Err() != nil {
			return done
		}
		if err := step(i); err != nil {
			done.failures++
			if done.failed == nil {
				done.failed = err
			}
		} else {
			done.times = append(done.times, time.Since(due))
		}
	}
}

// repeat repeats a step with so many workers until the context ends. Each worker begins it at most once in
// each interval.
func repeat(ctx context.Context, workers int, interval time.Duration, step func(worker int)) {
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			ticker := time.NewTicker(interval)
			defer ticker.Stop()
			for ctx.Err() == nil {
				step(worker)
				select {
				case <-ctx.Done():
				case <-ticker.C:
				}
			}
		})
	}
	working.Wait()
}

// note says how many there were, and what went wrong.
func (p paced) note() string {
	note := fmt.Sprintf("%d of %d succeeded", len(p.times), len(p.times)+p.failures)
	if p.failed != nil {
		note += "; the first failure: " + p.failed.Error()
	}
	return note
}

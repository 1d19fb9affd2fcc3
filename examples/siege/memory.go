package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// machineMemory is what the process may take of the 256 MB of fly.toml's machine.
	machineMemory = 220

	// settleTime is how long the service has for a crowd before anybody signs in. To open 10,000 connections
	// in a second is a flood of its own, and costs the siege as much as the service, on the same cores.
	settleTime = 3 * time.Second

	// spareFiles are the open files that a process needs besides the connections.
	spareFiles = 1000

	// manyNetworks is from how many networks they come. At the default limit each may start 60 logins in a
	// minute, so 10,000 held polls need 167.
	manyNetworks = 200
)

const (
	// longHeaders are nearly the longest that the service reads.
	longHeaders = 30_000

	// smallBody is a body of which the service reads any number.
	smallBody = 15_000
)

// memory holds many connections of each kind.
func (s *siege) memory() error {
	if err := s.besiege(0, func(*server) kind { return kind{name: "nobody"} }); err != nil {
		return err
	}
	for _, what := range []func(*server) kind{
		silent, halfRequest(0), slowBody(0), slowCall(0), heldPoll(0), hangingRefresh(0),
		idle(0), slowDashboard(0), slowPages(0), slowQuestions, slowAnswers(0),
	} {
		if err := s.besiege(s.connections, what); err != nil {
			return err
		}
	}
	return nil
}

// padded does the same with as much in each request as the service takes before it refuses.
func (s *siege) padded() error {
	const body, refreshToken = 64_000, 15_000
	for _, what := range []func(*server) kind{
		halfRequest(longHeaders), slowBody(smallBody), slowBody(body), slowCall(smallBody), slowCall(body),
		heldPoll(longHeaders), hangingRefresh(refreshToken),
		idle(longHeaders), slowDashboard(longHeaders), slowPages(longHeaders), slowAnswers(longHeaders),
	} {
		if err := s.besiege(s.connections, what); err != nil {
			return err
		}
	}
	return nil
}

// silent says nothing.
func silent(*server) kind {
	return kind{name: "silent", begin: func(int) (string, error) { return "", nil }}
}

// head is the beginning of a request, up to the headers that the caller adds.
func head(target string, i int) string {
	return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nFly-Client-IP: " + scattered(i%manyNetworks) +
		"\r\n"
}

// titled is a name, with the padding if there is any.
func titled(name string, padding int) string {
	if padding == 0 {
		return name
	}
	return fmt.Sprintf("%s, %d KB", name, padding/1000)
}

// pad is headers of some length together, or blank. There are nearly as many as there may be, since each
// takes memory of its own.
func pad(padding int) string {
	if padding == 0 {
		return ""
	}
	const headers = 58
	var all strings.Builder
	for i := range headers {
		name := fmt.Sprintf("X-Padding-%d: ", i)
		all.WriteString(name + strings.Repeat("a", padding/headers-len(name)-2) + "\r\n")
	}
	return all.String()
}

// halfRequest never ends its headers.
func halfRequest(padding int) func(*server) kind {
	padded := pad(padding)
	return func(*server) kind {
		return kind{
			name:    titled("half a request", padding),
			begin:   func(i int) (string, error) { return head("/poll", i) + padded + "X-Half: ", nil },
			trickle: "a",
		}
	}
}

// slowBody never ends its body.
func slowBody(padding int) func(*server) kind {
	body := unended(padding)
	return func(*server) kind {
		return kind{
			name:    titled("slow body", padding),
			begin:   func(i int) (string, error) { return head("/poll", i) + body, nil },
			trickle: "a",
		}
	}
}

// longRequest has headers and a body of which the service takes any number, and does not end.
func longRequest(*server) kind {
	rest := pad(longHeaders) + unended(smallBody)
	return kind{
		name:    "long requests",
		begin:   func(i int) (string, error) { return head("/poll", i) + rest, nil },
		trickle: "a",
	}
}

// unended is a body, with the end of the headers, that lacks its last thousand bytes.
func unended(padding int) string {
	return fmt.Sprintf("Content-Length: %d\r\n\r\n", padding+1000) + strings.Repeat("a", padding)
}

// slowCall never ends the body of a call of an API. Others call the API meanwhile.
func slowCall(padding int) func(*server) kind {
	body := unended(padding)
	return func(service *server) kind {
		return kind{
			name: titled("slow calls of an API", padding),
			begin: func(i int) (string, error) {
				const token = "\r\nAuthorization: Bearer made-up\r\n"
				return head(service.apiCall, i) + siegeOrigin + token + body, nil
			},
			trickle: "a",
			twice:   true,
			others:  service.callAPI,
		}
	}
}

// keptLogins are the logins of a kind's connections, by their numbers. Those that come again have theirs.
type keptLogins struct {
	service *server
	logins  sync.Map
}

// of returns the login of connection i, and starts it if need be.
func (k *keptLogins) of(i int) (login, error) {
	if kept, found := k.logins.Load(i); found {
		return kept.(login), nil
	}
	started, err := k.service.begin(scattered(i % manyNetworks))
	if err == nil {
		k.logins.Store(i, started)
	}
	return started, err
}

// heldPoll waits for a login that nobody finishes.
func heldPoll(padding int) func(*server) kind {
	padded := pad(padding)
	return func(service *server) kind {
		logins := &keptLogins{service: service}
		return kind{
			name: titled("held polls", padding),
			begin: func(i int) (string, error) {
				started, err := logins.of(i)
				if err != nil {
					return "", err
				}
				target := "/poll?wait=30&readKey=" + url.QueryEscape(started.readKey)
				return head(target, i) + padded + "Content-Length: 0\r\n\r\n", nil
			},
		}
	}
}

// idle has got an answer, and sends no other request. The padding is in the request's line, which net/http
// keeps.
func idle(padding int) func(*server) kind {
	request := "GET /?" + strings.Repeat("a", padding) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	return func(*server) kind {
		return kind{
			name:  titled("idle after an answer", padding),
			begin: func(int) (string, error) { return request, nil },
			sip:   4 << 10,
		}
	}
}

// slowDashboard hardly reads the largest file of the dashboard.
func slowDashboard(padding int) func(*server) kind {
	return func(service *server) kind {
		script := sync.OnceValues(func() (string, error) {
			page, err := service.want(query{method: http.MethodGet, target: "/_/"})
			if err != nil {
				return "", err
			}
			found := regexp.MustCompile(`src="\./(assets/[^"]+\.js)"`).FindSubmatch(page.body)
			if found == nil {
				return "", errors.New("the dashboard has no script")
			}
			return string(found[1]), nil
		})
		return kind{
			name: titled("slow readers of the dashboard", padding),
			begin: func(int) (string, error) {
				path, err := script()
				return "GET /_/" + path + " HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n" +
					pad(padding) + "\r\n", err
			},
			sip: 1,
		}
	}
}

// small is a request whose answer is small.
const small = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// unread is how many small answers Linux takes from the service for a reader with a small window. Behind them
// the service has to wait with the next.
const unread = 46

// slowPages asks for a page behind other answers, and hardly reads them.
func slowPages(padding int) func(*server) kind {
	request := "GET /redirect?state=a&code=b HTTP/1.1\r\nHost: localhost\r\n" + pad(padding) + "\r\n"
	return slowReader(titled("slow readers of pages", padding), strings.Repeat(small, unread)+request)
}

// slowQuestions does the same with the largest page, which asks whether a sign-in is one's own, and has what
// the provider is said to have sent.
func slowQuestions(service *server) kind {
	const code = 8_000
	logins := &keptLogins{service: service}
	return kind{
		name: "slow readers of the question",
		begin: func(i int) (string, error) {
			started, err := logins.of(i)
			form := url.Values{"state": {started.state}, "code": {strings.Repeat("a", code)}}.Encode()
			return strings.Repeat(small, unread) + "POST /redirect HTTP/1.1\r\nHost: localhost\r\n" +
				"Content-Type: application/x-www-form-urlencoded\r\nFly-Client-IP: " + bystander(i) +
				fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n%s", len(form), form), err
		},
		sip: 1,
	}
}

// slowAnswers does the same with small answers.
func slowAnswers(padding int) func(*server) kind {
	request := "GET / HTTP/1.1\r\nHost: localhost\r\n" + pad(padding) + "\r\n"
	const some = 80
	requests := strings.Repeat(small, unread) + strings.Repeat(request, some)
	return slowReader(titled("slow readers of answers", padding), requests)
}

func slowReader(name, requests string) func(*server) kind {
	return func(*server) kind {
		return kind{name: name, begin: func(int) (string, error) { return requests, nil }, sip: 1}
	}
}

// hangingRefresh is a refresh that the provider does not answer.
func hangingRefresh(padding int) func(*server) kind {
	filling := strings.Repeat("a", padding)
	return func(*server) kind {
		return kind{
			name: titled("hanging refreshes", padding),
			begin: func(i int) (string, error) {
				target := fmt.Sprintf("/refresh?code=%s-%d-%s", hangToken, i, filling)
				return head(target, i) + "Content-Length: 0\r\n\r\n", nil
			},
			twice: true,
		}
	}
}

// besiege holds connections at a new service, and watches its memory and the logins of others, unless the
// flags choose other kinds.
func (s *siege) besiege(connections int, what func(*server) kind) error {
	if !strings.Contains(what(&server{}).name, s.kind) {
		return nil
	}
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	held := newCrowd(what(service), service.command.Address, s.sources)
	if allowed := s.allowed(held.kind); connections > allowed {
		s.progress("%s: %d connections, since no more files may be open", held.kind.name, allowed)
		connections = allowed
	}
	s.progress("%s: opening %d connections", held.kind.name, connections)
	peak := make(chan *float64, 1)
	go func() { peak <- watch(ctx, service) }()
	held.gather(ctx, connections)
	s.progress("%s: %s", held.kind.name, held.note())
	time.Sleep(settleTime)
	holding, done := context.WithTimeout(ctx, s.hold)
	defer done()
	others := held.kind.others
	if others == nil {
		others = func(network string) error {
			_, err := service.signIn(network)
			return err
		}
	}
	logins := pace(holding, 50*time.Millisecond, func(i int) error { return others(bystander(i)) })
	note := held.note()
	cancel()
	resident := <-peak
	held.wait()
	s.report.add(row{
		name:   held.kind.name + ": resident",
		figure: resident,
		unit:   "MB",
		bound:  atMost(machineMemory),
		note:   note,
	})
	s.reportLogins(held.kind.name, logins)
	return nil
}

// reportLogins reports what became of the logins of others while connections of some kind were held.
func (s *siege) reportLogins(title string, logins paced) {
	s.report.add(row{
		name:   title + ": what another does, p99",
		figure: percentile(logins.times, 99),
		unit:   "ms",
		bound:  atMost(50),
		note:   logins.note(),
	})
	s.report.add(row{
		name:   title + ": what failed of others",
		figure: count(logins.failures),
		bound:  none,
	})
}

// allowed is how many connections of a kind the open files of this process and of the service allow.
func (s *siege) allowed(what kind) int {
	const plenty = 1 << 20
	if s.files == 0 {
		return plenty
	}
	allowed := int(min(s.files, plenty)) - spareFiles
	if what.twice {
		allowed /= 2
	}
	return max(allowed, 1)
}

// watch returns the most memory that a service had until the context ends.
func watch(ctx context.Context, service *server) (most *float64) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if now := service.resident(); now != nil && (most == nil || *now > *most) {
			most = now
		}
		select {
		case <-ctx.Done():
			return most
		case <-ticker.C:
		}
	}
}

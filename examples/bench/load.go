package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const tokenResponse = `{"access_token":"at-0123456789abcdef","token_type":"bearer","expires_in":3599,"refresh_token":"rt-0123456789abcdef","scope":"read"}`

// serveProvider answers every token request at once, and returns the token endpoint.
func serveProvider() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, tokenResponse)
	}))
	return "http://" + listener.Addr().String() + "/token", nil
}

// client is one connection. It is written by hand because net/http's client would cost as much as the server, on the same
// cores.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte // of the last answer; good until the next
	key  string // of a login that stays pending
}

func dial(address string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 1024)}, nil
}

func (c *client) close() { c.conn.Close() }

// do sends a request without a body, reads the answer into c.body and fails if the status is another.
func (c *client) do(method, target string, want int) error {
	if err := c.send(method, target); err != nil {
		return err
	}
	return c.receive(want)
}

func (c *client) send(method, target string) error {
	c.out = append(c.out[:0], method...)
	c.out = append(c.out, ' ')
	c.out = append(c.out, target...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: bench\r\nOrigin: http://localhost:5173\r\n"...)
	if method == http.MethodPost {
		c.out = append(c.out, "Content-Length: 0\r\n"...)
	}
	c.out = append(c.out, "\r\n"...)
	_, err := c.conn.Write(c.out)
	return err
}

func (c *client) receive(want int) error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 {
		return errors.New("the answer is not HTTP")
	}
	status, length, chunked := string(line[9:12]), -1, false
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return err
			}
		}
		chunked = chunked || string(line) == "Transfer-Encoding: chunked"
	}
	c.body = c.body[:0]
	if chunked {
		err = c.readChunks()
	} else {
		err = c.read(length)
	}
	if err == nil && status != strconv.Itoa(want) {
		err = fmt.Errorf("the answer is %s, not %d: %.200s", status, want, c.body)
	}
	return err
}

func (c *client) read(length int) error {
	c.body = slices.Grow(c.body, max(length, 0))
	at := len(c.body)
	c.body = c.body[:at+max(length, 0)]
	_, err := io.ReadFull(c.in, c.body[at:])
	return err
}

func (c *client) readChunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return err
		}
		if err := c.read(int(size)); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil || size == 0 {
			return err
		}
	}
}

// login starts a login.
func (c *client) login() (state, readKey string, err error) {
	if err := c.do(http.MethodPost, "/authorize", http.StatusOK); err != nil {
		return "", "", err
	}
	var answer struct{ URL, ReadKey string }
	if err := json.Unmarshal(c.body, &answer); err != nil {
		return "", "", err
	}
	_, after, found := strings.Cut(answer.URL, "&state=")
	if state, _, _ = strings.Cut(after, "&"); !found || answer.ReadKey == "" {
		return "", "", fmt.Errorf("/authorize answered %s", c.body)
	}
	return state, answer.ReadKey, nil
}

// The loads. Each is one operation of a plugin, as the table counts them.

func pendingPoll(c *client) (err error) {
	if c.key == "" {
		if _, c.key, err = c.login(); err != nil {
			return err
		}
	}
	return c.do(http.MethodPost, "/poll?readKey="+c.key, http.StatusNotFound)
}

func authorize(c *client) error {
	return c.do(http.MethodPost, "/authorize", http.StatusOK)
}

func wholeLogin(c *client) error {
	state, readKey, err := c.login()
	if err != nil {
		return err
	}
	if err := c.do(http.MethodGet, "/redirect?code=code&state="+state, http.StatusOK); err != nil {
		return err
	}
	if err := c.do(http.MethodPost, "/poll?readKey="+readKey, http.StatusOK); err != nil {
		return err
	}
	if string(c.body) != tokenResponse {
		return fmt.Errorf("/poll gave %s", c.body)
	}
	return nil
}

func refresh(c *client) error {
	return c.do(http.MethodPost, "/refresh?code="+url.QueryEscape(fmt.Sprintf("%p%d", c, time.Now().UnixNano())), http.StatusOK)
}

// waitingPolls lets many polls wait, then finishes a thousand of their logins, and measures how long after the end of the
// redirect the tokens reach the poll.
func waitingPolls(s *server) error {
	starter, err := dial(s.address)
	if err != nil {
		return err
	}
	defer starter.close()
	type waiter struct {
		*client
		state    string
		received chan time.Time
	}
	waiters := make([]*waiter, *waiting)
	for i := range waiters {
		state, readKey, err := starter.login()
		if err != nil {
			return err
		}
		c, err := dial(s.address)
		if err != nil {
			return fmt.Errorf("%w (each waiting poll needs an open file: see ulimit -n)", err)
		}
		defer c.close()
		waiters[i] = &waiter{client: c, state: state}
		if err := c.send(http.MethodPost, "/poll?wait=30&readKey="+readKey); err != nil {
			return err
		}
	}
	time.Sleep(time.Second)
	fmt.Printf("\n%-34s %7.1f MB\n", fmt.Sprintf("resident memory, %d polls waiting", *waiting), s.memory())

	finishing := waiters[:min(1000, len(waiters))]
	failures := make(chan error, 2*len(finishing))
	var done sync.WaitGroup
	for _, w := range finishing {
		w.received = make(chan time.Time, 1)
		done.Go(func() {
			err := w.receive(http.StatusOK)
			w.received <- time.Now()
			if err != nil {
				failures <- err
			}
		})
	}
	lags := make([]time.Duration, 0, len(finishing))
	for _, w := range finishing {
		if err := starter.do(http.MethodGet, "/redirect?code=code&state="+w.state, http.StatusOK); err != nil {
			return err
		}
		redirected := time.Now()
		lags = append(lags, max(0, (<-w.received).Sub(redirected)))
	}
	done.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	slices.Sort(lags)
	fmt.Printf("%-34s p50 %.2f ms, p99 %.2f ms, longest %.2f ms\n", fmt.Sprintf("redirect's end to tokens, of %d", len(lags)),
		milliseconds(lags[len(lags)/2]), milliseconds(lags[len(lags)*99/100]), milliseconds(lags[len(lags)-1]))
	return nil
}

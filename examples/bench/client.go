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
	"slices"
	"strconv"
	"strings"
)

// client is one connection. It is written by hand because net/http's client would cost as much as the server,
// on the same cores.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte // of the last answer; good until the next
	key  string // of a login that stays pending

	isLast bool // the server has closed the connection after its last answer

	api     string // the host of the provider's API
	headers string // more of its requests; each ends with a line break
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
	if err := c.again(); err != nil {
		return err
	}
	c.out = append(c.out[:0], method...)
	c.out = append(c.out, ' ')
	c.out = append(c.out, target...)
	c.out = append(c.out, " HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:5173\r\n"...)
	if method == http.MethodPost {
		c.out = append(c.out, "Content-Length: 0\r\n"...)
	}
	c.out = append(c.out, c.headers...)
	c.out = append(c.out, "\r\n"...)
	_, err := c.conn.Write(c.out)
	return err
}

// again connects anew if the server has closed the connection, as it does after a page for a person.
func (c *client) again() error {
	if !c.isLast {
		return nil
	}
	c.close()
	conn, err := net.Dial("tcp", c.conn.RemoteAddr().String())
	if err != nil {
		return err
	}
	c.conn, c.isLast = conn, false
	c.in.Reset(conn)
	return nil
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
		c.isLast = c.isLast || string(line) == "Connection: close"
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

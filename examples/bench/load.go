package main

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"plugin-oauth/examples/bench/tokens"
)

// workload is one operation of a plugin, repeated on every connection.
type workload struct {
	name   string
	step   func(*client) error
	rounds int
	goal   float64 // for the ratio of CPU time to that of bare net/http; 0: none
}

// loads and tokenLoads are measured at the program and at the bare server.
var loads = []workload{
	{name: "pending poll", step: pendingPoll, rounds: 5, goal: 1.45},
	{name: "authorize", step: authorize, rounds: 5, goal: 6},
	{name: "whole login", step: wholeLogin(tokens.Small), rounds: 5, goal: 11.5},
	{name: "refresh", step: refresh, rounds: 5, goal: 4.5},
}

var tokenLoads = []workload{
	{name: "whole login, 1 KB tokens", step: wholeLogin(tokens.KB1), rounds: 3},
	{name: "whole login, 100 KB tokens", step: wholeLogin(tokens.KB100), rounds: 3},
}

// apiLoads are measured at the program, whose provider has an API too, and at the bare server, where they go
// through a reverse proxy alone.
var apiLoads = []workload{
	{name: "API call, 4 KB of JSON", step: callAPI, rounds: 5, goal: 1.3},
}

// durabilityLoads are measured at the service with FULL and with NORMAL. The others write nothing.
var durabilityLoads = []workload{
	{name: "authorize", step: authorize, rounds: 3},
	{name: "whole login", step: wholeLogin(tokens.Small), rounds: 3},
}

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

// wholeLogin goes from the start of a login to its tokens, whose size depends on the code.
func wholeLogin(code string) func(*client) error {
	return func(c *client) error {
		state, readKey, err := c.login()
		if err != nil {
			return err
		}
		if err := c.do(http.MethodGet, "/redirect?code="+code+"&state="+state, http.StatusOK); err != nil {
			return err
		}
		if err := c.do(http.MethodPost, "/poll?readKey="+readKey, http.StatusOK); err != nil {
			return err
		}
		if string(c.body) != tokens.For(code) {
			return fmt.Errorf("/poll gave %.200s", c.body)
		}
		return nil
	}
}

func refresh(c *client) error {
	refreshToken := fmt.Sprintf("%p%d", c, time.Now().UnixNano()) // of its own
	return c.do(http.MethodPost, "/refresh?code="+url.QueryEscape(refreshToken), http.StatusOK)
}

// callAPI lets the server call the API, as a page does that its browser does not let call it. The token is
// that of a login, since calls with tokens of which the server has not heard are bounded.
func callAPI(c *client) error {
	if c.headers == "" {
		if err := wholeLogin(tokens.Small)(c); err != nil {
			return err
		}
		c.headers = "Authorization: Bearer at-0123456789abcdef\r\n"
	}
	if err := c.do(http.MethodGet, "/fetch/"+c.api+apiPath, http.StatusOK); err != nil {
		return err
	}
	if string(c.body) != apiAnswer {
		return fmt.Errorf("/fetch gave %.200s", c.body)
	}
	return nil
}

package hooks

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	got := s.post("/refresh?code=RT-1")
	s.expect("refresh", got, http.StatusOK, tokenResponse)
	if got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers of the tokens: %v", got.header)
	}
	s.expect("trailing slash", s.post("/refresh/?code=RT-1"), http.StatusOK, tokenResponse)
	s.expect("refresh_token", s.post("/refresh?refresh_token=RT-1"), http.StatusOK, tokenResponse)
	s.expect("form", s.request(http.MethodPost, "/refresh", "refresh_token=RT-1"), http.StatusOK, tokenResponse)
	s.expect("JSON", s.request(http.MethodPost, "/refresh", `{"code":"RT-1"}`), http.StatusOK, tokenResponse)
}

// Deployed plugins do not encode the refresh token; it must reach the provider as it is.
func TestRefreshTokenIsReadLeniently(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var received string
	s.provider.answers(func(w http.ResponseWriter, r *http.Request) {
		received = r.Form.Get("refresh_token")
		io.WriteString(w, `{"access_token":"x"}`)
	})
	for _, token := range []string{
		"oaa1.v1/x+y==", "1//0g-plain_x", "50%", "%zz%4", "a;b", "a=b==", "+", "ü", "a%b;c+d/e==", strings.Repeat("j", 12_000),
	} {
		for how, sent := range map[string]string{"un-encoded": token, "encoded": strings.ReplaceAll(url.QueryEscape(token), "+", "%20")} {
			// The request line is written by hand: Go's client would encode it.
			u, err := url.Parse(s.url)
			if err != nil {
				t.Fatal(err)
			}
			u.Path, u.RawQuery = "/refresh", "code="+sent
			received = ""
			s.expect(how, s.post(u.String()), http.StatusOK, `{"access_token":"x"}`)
			if received != token {
				t.Errorf("%s %.20q reached the provider as %.20q", how, token, received)
			}
		}
	}
}

func TestRefreshFaults(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for name, test := range map[string]struct {
		providerStatus int
		providerBody   string
		status         int
		code           string
	}{
		"hubspot's words": {400, `{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token","correlationId":"RT-HIDDEN"}`, 400, "invalid_grant"},
		"atlassian's":     {403, `{"error":"unauthorized_client","error_description":"refresh_token is invalid"}`, 403, "invalid_grant"},
		"client's fault":  {400, `{"status":"BAD_CLIENT_SECRET","message":"the client secret is wrong"}`, 400, "server_error"},
		"not allowed":     {403, `{"error":"unauthorized_client","error_description":"Grant type 'refresh_token' not allowed for the client."}`, 403, "unauthorized_client"},
		"revoked":         {400, `{"error":"invalid_grant","error_description":"RT-HIDDEN is revoked"}`, 400, "invalid_grant"},
		"wrong secret":    {401, `{"error":"invalid_client"}`, 401, "invalid_client"},
		"forbidden, HTML": {403, `<h1>RT-HIDDEN</h1>`, 403, "server_error"},
		"too many":        {429, ``, 429, "server_error"},
		"down":            {503, `{"message":"RT-HIDDEN"}`, 503, "server_error"},
		"GitHub":          {200, `{"error":"bad_refresh_token"}`, 400, "bad_refresh_token"},
		"Slack":           {200, `{"ok":false,"error":"invalid_refresh_token"}`, 400, "invalid_refresh_token"},
		"HTML":            {200, `<h1>RT-HIDDEN</h1>`, 502, "server_error"},
		"empty":           {200, ``, 502, "server_error"},
		"redirect":        {302, ``, 502, "server_error"},
	} {
		s.provider.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.providerStatus)
			io.WriteString(w, test.providerBody)
		})
		for _, accept := range []string{"", "*/*", "text/plain"} {
			got := s.request(http.MethodPost, "/refresh?code=RT-HIDDEN", "", "Accept: "+accept)
			if got.status != test.status || got.header.Get("Content-Type") != "text/plain; charset=utf-8" ||
				!strings.HasPrefix(got.body, test.code+": ") || strings.Count(got.body, "\n") != 1 || strings.Contains(got.body, "HIDDEN") {
				t.Errorf("%s: %d %s %q", name, got.status, got.header.Get("Content-Type"), got.body)
			}
		}
		got := s.request(http.MethodPost, "/refresh?code=RT-HIDDEN", "", "Accept: application/json")
		s.expectError(name, got, test.status, test.code)
	}
	for _, query := range []string{"", "?code=", "?token=x", "?code=" + strings.Repeat("x", maxRefreshToken+1)} {
		s.expect(query[:min(9, len(query))], s.post("/refresh"+query), http.StatusBadRequest,
			"invalid_request: The refresh token is missing or too long. Send it as code or refresh_token.\n")
	}
}

func TestRefreshTooSlow(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.provider.answers(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s.expect("refresh", s.post("/refresh?code=x"), http.StatusGatewayTimeout,
		"temporarily_unavailable: The provider took too long to answer. Try again in a moment.\n")
}

// The plugin leaves while the provider rotates its refresh token: the request is finished all the same.
func TestRefreshPluginGone(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	asked, finished := make(chan struct{}), make(chan error, 1)
	s.provider.answers(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-r.Context().Done():
			finished <- r.Context().Err()
		case <-time.After(500 * time.Millisecond):
			finished <- nil
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/refresh?code=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-asked
		leave()
	}()
	if response, err := s.client.Do(request); err == nil {
		response.Body.Close()
		t.Fatal("the plugin was not gone")
	}
	if err := <-finished; err != nil {
		t.Errorf("the request to the provider was cut off: %v", err)
	}
}

func TestRefreshUnreachable(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin.TokenEndpoint = "http://127.0.0.1:1/token" })
	s.expect("refresh", s.post("/refresh?code=x"), http.StatusBadGateway,
		"temporarily_unavailable: The provider could not be reached. Try again in a moment.\n")
}

// Many windows that refresh at the same time make one request, and all get its answer. One that leaves cancels none.
func TestRefreshesAreMerged(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", nil)
	other := root.add("two", nil)
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	s.provider.answers(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-answer
		io.WriteString(w, `{"access_token":"`+newKey()+`"}`)
	})
	answers := make(chan string, 16)
	var done sync.WaitGroup
	// The first one leaves while it waits.
	first, leave := context.WithCancel(t.Context())
	done.Go(func() {
		request, _ := http.NewRequestWithContext(first, http.MethodPost, s.url+"/refresh?code=RT", nil)
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			t.Error("the first did not leave")
		}
	})
	<-asked
	for range 16 {
		done.Go(func() {
			got := s.post("/refresh?code=RT")
			if got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
			answers <- got.body
		})
	}
	time.Sleep(100 * time.Millisecond)
	leave()
	// Another token, and the same one at another plugin, are requests of their own.
	done.Go(func() {
		other.expect("another plugin", other.post("/refresh?code=RT"), http.StatusOK, tokenResponse)
	})
	done.Go(func() {
		if got := s.post("/refresh?code=RT2"); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	<-asked
	close(answer)
	done.Wait()
	close(answers)
	distinct := map[string]bool{}
	for body := range answers {
		distinct[body] = true
	}
	if len(distinct) != 1 || s.provider.exchanges() != 2 || other.provider.exchanges() != 1 {
		t.Errorf("%d answers to one token; %d and %d requests", len(distinct), s.provider.exchanges(), other.provider.exchanges())
	}
	// Without a new refresh token there is nothing to protect: the next one asks again.
	s.post("/refresh?code=RT")
	if s.provider.exchanges() != 3 {
		t.Error("an answer without rotation was given again")
	}
}

// A window that is a moment too late gets the answer of the rotation, for some seconds, from memory.
func TestRefreshJustAfterRotation(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.provider.answers(func(w http.ResponseWriter, r *http.Request) {
		if s.provider.exchanges() > 1 {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		io.WriteString(w, tokenResponse)
	})
	s.expect("refresh", s.post("/refresh?code=old"), http.StatusOK, tokenResponse)
	s.expect("late", s.post("/refresh?code=old"), http.StatusOK, tokenResponse)
	if s.provider.exchanges() != 1 {
		t.Error("the used up token was sent again")
	}
	time.Sleep(rotationGrace + 200*time.Millisecond)
	if got := s.post("/refresh?code=old"); got.status != http.StatusBadRequest || s.provider.exchanges() != 2 {
		t.Errorf("much later: %d %s", got.status, got.body)
	}
	// A failure is not kept.
	s.provider.answers(nil)
	s.expect("after a failure", s.post("/refresh?code=old"), http.StatusOK, tokenResponse)
}

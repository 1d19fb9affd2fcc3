package hooks

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/alert"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/testkit"
)

// chat is a webhook that keeps the texts that it is sent.
type chat struct {
	t     *testing.T
	url   string
	texts chan string
}

func newChat(t *testing.T) *chat {
	t.Helper()
	c := &chat{t: t, texts: make(chan string, 1000)}
	c.url = serveHandler(t, func(_ http.ResponseWriter, r *http.Request) {
		var message map[string]string
		err := json.NewDecoder(r.Body).Decode(&message)
		if err != nil || len(message) != 1 || message["text"] == "" || r.Method != http.MethodPost {
			t.Errorf("%s: %v, %v", r.Method, message, err)
		}
		c.texts <- message["text"]
	}) + "/services/webhook-secret?token=webhook-secret"
	return c
}

func (c *chat) setIn(config *Config) { config.AlertURL = c.url }

// expect waits for a message, which must have all these words.
func (c *chat) expect(words ...string) {
	c.t.Helper()
	select {
	case text := <-c.texts:
		for _, word := range words {
			if !strings.Contains(text, word) {
				c.t.Errorf("%q is missing in %s", word, text)
			}
		}
		if strings.Contains(text, "RT-") {
			c.t.Errorf("it says too much: %s", text)
		}
	case <-time.After(time.Minute):
		c.t.Fatalf("no message comes that says %q", words)
	}
}

// expectNone says what was not worth a message. Of another plugin, one is sent behind those that there may
// be.
func (c *chat) expectNone(s *testServer, what string) {
	c.t.Helper()
	marker := "marker" + rand.Text()
	for range alert.InARow {
		s.server.alerts.watch.Failed(marker, alert.ProviderDown, "")
	}
	if text := <-c.texts; !strings.Contains(text, marker) {
		c.t.Errorf("%s: %s", what, text)
		<-c.texts
	}
}

// issueTokens makes the provider answer codes with a new refresh token each, and refresh tokens as it is
// said.
func issueTokens(provider *testkit.Provider, refresh http.HandlerFunc) {
	provider.Answers(func(w http.ResponseWriter, r *http.Request) {
		if r.Form.Get("grant_type") == "refresh_token" {
			refresh(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"access_token":"AT-`+rand.Text()+`","refresh_token":"RT-`+rand.Text()+`"}`)
	})
}

// newRefreshToken goes through a login, and returns its refresh token.
func (s *testServer) newRefreshToken() string {
	s.T.Helper()
	_, readKey := s.Login()
	var tokens struct {
		RefreshToken string `json:"refresh_token"`
	}
	got := s.Poll(readKey)
	if err := json.Unmarshal([]byte(got.Body), &tokens); err != nil || tokens.RefreshToken == "" {
		s.T.Fatalf("%d %s", got.Status, got.Body)
	}
	return tokens.RefreshToken
}

// A plugin that fails is told of once, whatever the reason and however long it fails, and once when it works
// again.
func TestAlerts(t *testing.T) {
	t.Parallel()
	refused := answering(http.StatusBadRequest, `{"error":"invalid_grant"}`)
	for _, test := range []struct {
		name  string
		fault http.HandlerFunc
		want  []string
	}{
		{
			name: "secret refused", fault: answering(http.StatusUnauthorized, `{"error":"invalid_client"}`),
			want: []string{"the client secret", "CLIENT_SECRET"},
		},
		{
			name: "GitHub's word", fault: answering(http.StatusOK, `error=incorrect_client_credentials`),
			want: []string{"the client secret", "CLIENT_SECRET"},
		},
		{
			name: "provider down", fault: answering(http.StatusServiceUnavailable, "<html>"),
			want: []string{"no answer, or has a fault"},
		},
		{
			name:  "no answer",
			fault: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			want:  []string{"no answer, or has a fault"},
		},
		{name: "refreshes refused", fault: refused, want: []string{"refuses refresh tokens"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chat := newChat(t)
			s := serve(t, chat.setIn)
			issueTokens(s.Provider, test.fault)
			var tokens []string
			for range 2 * alert.InARow {
				tokens = append(tokens, s.newRefreshToken())
			}
			if test.name != "refreshes refused" { // then they are refused to those who sign in, too
				s.Provider.Answers(test.fault)
				for range alert.InARow - 1 {
					s.Login()
				}
				chat.expectNone(s, "a handful")
				s.Login()
			} else {
				for _, token := range tokens[:alert.InARow] {
					s.Post("/refresh?code=" + token)
				}
			}
			chat.expect(append(test.want, "plugin-oauth at "+s.URL+": the plugin is failing. ")...)
			for _, token := range tokens[alert.InARow:] {
				s.Post("/refresh?code=" + token)
				s.Post("/refresh?code=RT-unknown")
			}
			chat.expectNone(s, "it goes on")
			s.Provider.Answers(nil)
			s.Login()
			chat.expect("plugin-oauth at "+s.URL+": the plugin works again. It was failing since ", " UTC.")
			s.Login()
			chat.expectNone(s, "it goes on working")
		})
	}
}

// Each plugin is told of by its name.
func TestAlertsOfDashboardPlugin(t *testing.T) {
	t.Parallel()
	chat := newChat(t)
	s := serve(t, func(c *Config) { chat.setIn(c); withKey(c) })
	notes := s.add("notes", nil)
	notes.Provider.Answers(answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	for range alert.InARow {
		s.Login()
		notes.Login()
	}
	chat.expect("the plugin notes is failing.", "Check clientId, clientSecret and tokenAuth.")
	notes.Provider.Answers(nil)
	notes.Post("/refresh?code=RT")
	chat.expect("the plugin notes works again.")
}

// Nothing that a stranger can send raises an alert: codes and refresh tokens that were made up, are another
// client's, have been used or replaced, or are tried over and over again.
func TestStrangersRaiseNoAlert(t *testing.T) {
	t.Parallel()
	const many = 2 * alert.InARow
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{name: "invalid_grant", answer: answering(http.StatusBadRequest, `{"error":"invalid_grant"}`)},
		{name: "invalid_request", answer: answering(http.StatusBadRequest, `{"error":"invalid_request"}`)},
		{
			name:   "another client's",
			answer: answering(http.StatusBadRequest, `{"error":"unauthorized_client"}`),
		},
		{name: "no code", answer: answering(http.StatusUnauthorized, `{}`)},
		{name: "a page", answer: answering(http.StatusForbidden, `<html>`)},
		{name: "too many", answer: answering(http.StatusTooManyRequests, `{"error":"invalid_client"}`)},
		{name: "a page without an error", answer: answering(http.StatusOK, `<html>`)},
		{name: "a fault", answer: answering(http.StatusInternalServerError, `<html>`)},
		{name: "a fault's code", answer: answering(http.StatusNotImplemented, `{"error":"server_error"}`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			chat := newChat(t)
			s := serve(t, chat.setIn)
			s.Provider.Answers(test.answer)
			for i := range many {
				s.Login()
				s.Post(fmt.Sprint("/refresh?code=junk", i))
			}
			chat.expectNone(s, "junk")
		})
	}
	t.Run("malformed", func(t *testing.T) {
		t.Parallel()
		chat := newChat(t)
		s := serve(t, chat.setIn)
		s.Provider.Answers(answering(http.StatusInternalServerError, "it did not expect that"))
		for i := range many {
			s.Post(fmt.Sprintf("/refresh?code=%%00%d", i))
			s.Post(fmt.Sprintf("/refresh?code=%d%%C3%%A9", i))
		}
		chat.expectNone(s, "malformed tokens")
	})
	t.Run("redirects with an error", func(t *testing.T) {
		t.Parallel()
		chat := newChat(t)
		s := serve(t, chat.setIn)
		for range many {
			authorizationURL, _ := s.Authorize()
			s.Get("/redirect?error=invalid_client&state=" + authorizationURL.Query().Get("state"))
		}
		chat.expectNone(s, "what the provider never said")
	})
	t.Run("one token", func(t *testing.T) {
		t.Parallel()
		chat := newChat(t)
		s := serve(t, chat.setIn)
		issueTokens(s.Provider, answering(http.StatusBadRequest, `{"error":"invalid_grant"}`))
		token := s.newRefreshToken()
		for range many {
			s.Post("/refresh?code=" + token)
		}
		chat.expectNone(s, "a person who has no access any more")
	})
	t.Run("replaced tokens", func(t *testing.T) {
		t.Parallel()
		chat := newChat(t)
		s := serve(t, func(c *Config) { chat.setIn(c); c.timing.refreshKept = time.Nanosecond })
		rotate := func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"access_token":"AT","refresh_token":"RT-`+rand.Text()+`"}`)
		}
		issueTokens(s.Provider, rotate)
		tokens := []string{s.newRefreshToken()}
		for range many {
			var answer map[string]string
			got := s.Post("/refresh?code=" + tokens[len(tokens)-1])
			if err := json.Unmarshal([]byte(got.Body), &answer); err != nil {
				t.Fatal(got.Body)
			}
			tokens = append(tokens, answer["refresh_token"])
		}
		s.Provider.Answers(answering(http.StatusBadRequest, `{"error":"invalid_grant"}`))
		for _, token := range tokens[:many] {
			s.Post("/refresh?code=" + token)
		}
		chat.expectNone(s, "tokens that have been replaced")
	})
}

// Where the plugin's request chooses the host, a stranger can choose one that does not know the client.
func TestAlertsOfOpenTenant(t *testing.T) {
	t.Parallel()
	shopify := plugins.Plugin{Client: oauth.Client{Provider: "shopify"}}.Complete(plugins.Defaults{})
	down := &oauth.Error{Code: "server_error", Status: http.StatusBadGateway, Meaning: oauth.ProviderFailed}
	for _, issued := range []bool{false, true} {
		sent := sentCredential{value: "RT", issued: issued}
		if got := failureOf(&shopify, sent, down); (got != 0) != issued {
			t.Errorf("issued %v: %v", issued, got)
		}
	}
}

// A fault of the provider's counts for a token that came from here, whatever its status. For one that may be
// made up, only what says that the provider is down does.
func TestAlertsOfFaults(t *testing.T) {
	t.Parallel()
	plugin := plugins.Plugin{}.Complete(plugins.Defaults{})
	for status, saysDown := range map[int]bool{500: false, 501: false, 502: true, 503: true, 504: true} {
		for _, issued := range []bool{false, true} {
			fault := &oauth.Error{Code: "server_error", Status: status, Meaning: oauth.ProviderFailed}
			got := failureOf(&plugin, sentCredential{value: "RT", issued: issued}, fault)
			if want := issued || saysDown; (got == alert.ProviderDown) != want {
				t.Errorf("%d, issued %v: %v", status, issued, got)
			}
		}
	}
}

// A restart, as after the secret was corrected, tells nothing twice and does not forget to say that all is
// well. The address of the webhook is in no log.
func TestAlertsAfterRestart(t *testing.T) {
	t.Parallel()
	chat, p := newChat(t), testkit.NewProcess(t)
	p.Env = append(p.Env, "ALERT_URL="+chat.url)
	p.Start()
	p.Provider.Answers(answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	for range alert.InARow {
		p.Login()
	}
	chat.expect("is failing")
	for _, restart := range []func(){func() { p.Terminate(); p.Start() }, p.Crash} {
		restart()
		for range alert.InARow {
			p.Login()
		}
	}
	p.Crash()
	p.Provider.Answers(nil)
	p.Login()
	chat.expect("works again") // and nothing before it
	p.Crash()
	p.Login()
	p.Terminate()
	if len(chat.texts) > 0 {
		t.Errorf("told %s", <-chat.texts)
	}
	if strings.Contains(p.Out.String(), "webhook-secret") {
		t.Errorf("printed %s", p.Out)
	}
}

// What cannot be read keeps the service from nothing.
func TestAlertsStoredWrong(t *testing.T) {
	t.Parallel()
	chat := newChat(t)
	s := serveApp(t, func(app core.App) {
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			_, err := e.App.DB().NewQuery("INSERT INTO _params (id, value) VALUES ({:id}, 'junk')").
				Bind(dbx.Params{"id": alertsParam}).Execute()
			return errors.Join(err, e.Next())
		})
	}, chat.setIn)
	s.Provider.Answers(answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
	for range alert.InARow {
		s.Login()
	}
	chat.expect("is failing")
	if states, err := loadAlerts(s.App); err != nil || !states[""].Told {
		t.Errorf("stored %+v, %v", states, err)
	}
}

// A webhook that is slow, and then gone, delays no login and no shutdown, and the log says what became of the
// message without its address.
func TestAlertsToSlowHost(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	slow := serveHandler(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body) // else it is not seen that the service has gone
		<-r.Context().Done()
	}) + "/webhook-secret"
	var log bytes.Buffer
	t.Run("serve", func(t *testing.T) {
		s := serve(t, func(c *Config) {
			c.AlertURL, c.Log = slow, slog.NewTextHandler(&log, nil)
		})
		s.Provider.Answers(answering(http.StatusUnauthorized, `{"error":"invalid_client"}`))
		for range 3 * alert.InARow {
			s.Login()
		}
		<-asked
		s.Provider.Answers(nil)
		page, _ := s.Login()
		s.ExpectPage("a login meanwhile", page, http.StatusOK, "You are signed in")
	})
	if len(asked) > 0 {
		t.Errorf("asked again %d times", len(asked))
	}
	if strings.Contains(log.String(), "webhook-secret") {
		t.Errorf("logged %s", log.String())
	}
}

// The command doctor sends a test message, if it is told to, and says what became of it.
func TestDoctorAlert(t *testing.T) {
	t.Parallel()
	p := newDoctorProcess(t)
	if out := p.doctor(1, "--alert"); !strings.Contains(out, "ALERT_URL is not set.") {
		t.Error(out)
	}
	chat := newChat(t)
	p.Env = append(p.Env, "ALERT_URL="+chat.url)
	p.Start()
	p.doctor(0)
	if len(chat.texts) > 0 {
		t.Errorf("told %s", <-chat.texts)
	}
	if out := p.doctor(0, "--alert"); !strings.Contains(out, "A test message was sent to ALERT_URL.") {
		t.Error(out)
	}
	chat.expect("plugin-oauth at "+p.URL, "this is a test")
	p.Terminate()
	gone := serveHandler(t, http.NotFound) + "/webhook-secret"
	p.Env = append(p.Env, "ALERT_URL="+gone)
	out := p.doctor(1, "--alert")
	if !strings.Contains(out, "did not arrive: the host answered 404.") ||
		strings.Contains(out, "webhook-secret") || strings.Contains(p.Out.String(), "webhook-secret") {
		t.Errorf("%s\n%s", out, p.Out)
	}
}

package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/alert"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// alerts tell ALERT_URL when a plugin begins to fail and when it works again.
type alerts struct {
	watch  *alert.Watch
	sender *alert.Sender // nil: nobody is told
}

// alertsParam is the row of PocketBase's table _params that keeps what has been told across a restart.
const alertsParam = "plugin_oauth_alerts"

// newAlerts returns the alerts of a server whose log is there.
func (s *server) newAlerts() *alerts {
	a := &alerts{}
	options := alert.WatchOptions{OnChange: func(alert.Change) {}, Now: s.config.timing.now}
	if s.config.AlertURL != "" {
		var err error
		if options.States, err = loadAlerts(s.app); err != nil {
			s.log.Warn("what ALERT_URL was told cannot be read, so it may be told again",
				"cause", err.Error())
		}
		a.sender = alert.NewSender(alert.SenderOptions{
			URL:    s.config.AlertURL,
			Before: func() { s.saveAlerts(a.watch.States()) },
			OnError: func(message alert.Message, err error) {
				s.log.Error("the message to ALERT_URL did not arrive; plugin-oauth doctor --alert tries it",
					"plugin", plugins.DisplaySlug(message.Plugin), "failing", message.Failing,
					"cause", err.Error())
			},
		})
		options.OnChange = func(change alert.Change) {
			a.sender.Send(alert.Message{
				Plugin:  change.Plugin,
				Failing: change.Failing,
				Text:    s.config.alertText(change),
			})
		}
	}
	a.watch = alert.NewWatch(options)
	return a
}

// close sends what is to be sent, but does not hold up a shutdown for long.
func (a *alerts) close() {
	if a.sender == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	a.sender.Close(ctx)
}

func loadAlerts(app core.App) (states map[string]alert.State, err error) {
	var stored []string
	query := app.ConcurrentDB().NewQuery("SELECT value FROM _params WHERE id = {:id}")
	if err := query.Bind(dbx.Params{"id": alertsParam}).Column(&stored); err != nil || len(stored) == 0 {
		return nil, err
	}
	err = json.Unmarshal([]byte(stored[0]), &states)
	return states, err
}

func (s *server) saveAlerts(states map[string]alert.State) {
	value, err := json.Marshal(states)
	if err == nil {
		_, err = s.app.NonconcurrentDB().NewQuery(`INSERT INTO _params (id, value) VALUES ({:id}, {:value})
			ON CONFLICT (id) DO UPDATE SET value = excluded.value,
				updated = strftime('%Y-%m-%d %H:%M:%fZ')`).
			Bind(dbx.Params{"id": alertsParam, "value": string(value)}).Execute()
	}
	if err != nil {
		s.log.Error("what ALERT_URL was told cannot be stored; after a restart it may be told again",
			"cause", err.Error())
	}
}

// alertText is what is sent about a change. It has nothing of people, and no secret.
func (c Config) alertText(change alert.Change) string {
	named := "the plugin"
	if change.Plugin != "" {
		named += " " + change.Plugin
	}
	if !change.Failing {
		return c.alertFrom() + named + " works again. It was failing since " +
			change.Since.UTC().Format("2006-01-02 15:04") + " UTC."
	}
	why := ""
	switch change.Reason {
	case alert.ClientRefused:
		plugin := plugins.Plugin{Slug: change.Plugin}
		why = "The provider does not accept the client ID or the client secret. " +
			oauth.InvalidClient.ForAuthor(plugin.WhereElse)
	case alert.ProviderDown:
		why = "The provider gives no answer, or has a fault of its own."
	case alert.TokensRefused:
		why = "The provider refuses refresh tokens that it has issued, so people must sign in again."
	}
	return c.alertFrom() + named + " is failing. " + why + " The log has each failure, and plugin-oauth " +
		"doctor checks the set-up."
}

// alertFrom begins each message. Whoever gets it may have several services.
func (c Config) alertFrom() string {
	if c.baseURL() == "" {
		return "plugin-oauth: "
	}
	return "plugin-oauth at " + c.baseURL() + ": "
}

// sentCredential is the code or the refresh token of a token request.
type sentCredential struct {
	value string

	// issued says that it is a refresh token that came from here, and has not been replaced. All others may
	// have been made up by a stranger.
	issued bool

	// key identifies one that was issued.
	key tokenKey
}

// watchTokenRequest notes how a token request ended, for the alerts.
func (s *server) watchTokenRequest(plugin *plugins.Plugin, sent sentCredential, err error) {
	if err == nil {
		s.alerts.watch.Worked(plugin.Slug)
		return
	}
	if reason := failureOf(plugin, sent, err); reason != 0 {
		subject := ""
		if sent.issued {
			subject = string(sent.key[:])
		}
		s.alerts.watch.Failed(plugin.Slug, reason, subject)
	}
}

// failureOf says what a token request that failed says of the plugin, or 0: nothing.
//
// A stranger may send any number of codes and refresh tokens, and must not be able to raise an alert. So what
// a provider says of a code or a token counts only if that came from here. Of the others only that counts
// which the provider says whatever it is sent: that it does not accept the client, or that it is down. A
// fault under another status than those of [saysDown] may be the answer to what was made up. Where the
// request also chooses the host that is asked, nothing counts.
func failureOf(plugin *plugins.Plugin, sent sentCredential, err error) alert.Reason {
	provider, ok := errors.AsType[*oauth.Error](err)
	if !ok || provider.Status == http.StatusTooManyRequests {
		return 0
	}
	isDown := provider.Meaning == oauth.TimedOut || provider.Meaning == oauth.Unreachable ||
		provider.Status >= http.StatusInternalServerError
	isClient := provider.Meaning == oauth.InvalidClient
	if !sent.issued {
		// Some say unauthorized_client of a token that was issued to another client.
		isClient = isClient && provider.Code != "unauthorized_client"
		isDown = isDown && (provider.Status == 0 || saysDown(provider.Status))
		if plugin.OpenTenant() != nil || !isWellFormed(sent.value) || !isClient && !isDown {
			return 0
		}
	}
	switch {
	case isClient:
		return alert.ClientRefused
	case isDown || !isRefusal(err):
		return alert.ProviderDown
	default:
		return alert.TokensRefused
	}
}

// saysDown reports whether a status is about the server or its gateway, whatever it was asked (RFC 9110
// sections 15.6.3 to 15.6.5). A 500 may be a program that fails at a code it has never seen.
func saysDown(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable ||
		status == http.StatusGatewayTimeout
}

// isWellFormed reports whether a code or a token may have come from a provider (RFC 6749 appendix A.11 and
// A.17). Others have made providers fail.
func isWellFormed(value string) bool {
	return len(value) <= maxRefreshToken && !strings.ContainsFunc(value, func(r rune) bool {
		return r < ' ' || r > '~'
	})
}

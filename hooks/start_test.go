package hooks

import (
	"cmp"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// secrets returns for each session, the oldest first, its status, and whether it holds a public key and
// sealed tokens.
func (s *testServer) secrets() string {
	s.T.Helper()
	var held []string
	query := s.App.DB().NewQuery(`SELECT status || ' ' || (publicKey IS NOT NULL) || (sealed IS NOT NULL)
		FROM sessions ORDER BY rowid`)
	if err := query.Column(&held); err != nil {
		s.T.Fatal(err)
	}
	return strings.Join(held, ", ")
}

// The secrets of a login are erased when it ends, and its row is deleted after the retention.
func TestSweep(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, func(c *Config) {
		c.SessionTTL, c.SessionRetention, c.timing.now = time.Minute, time.Hour, clock.now
	})
	expect := func(when, want string) {
		t.Helper()
		if got := s.secrets(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	s.Authorize()
	s.Login()
	_, claimed := s.Login()
	s.Poll(claimed)
	denied, _ := s.Authorize()
	s.Get("/redirect?error=access_denied&state=" + denied.Query().Get("state"))
	const living = "pending 10, ready 01, claimed 00, denied 00"
	expect("at first", living)
	s.server.sweep()
	expect("after a sweep of living sessions", living)
	clock.move(2 * time.Minute)
	s.server.sweep()
	expect("after expiry", "expired 00, expired 00, claimed 00, denied 00")
	clock.move(time.Hour)
	s.server.sweep()
	expect("after the retention", "")
}

// The sweep is one of PocketBase's jobs, so it runs each minute and is listed in the dashboard.
func TestSweepIsScheduled(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	s := serve(t, clock.setIn)
	s.Authorize()
	clock.move(defaultSessionTTL)
	for _, job := range s.App.Cron().Jobs() {
		if job.Id() == "sweepSessions" && job.Expression() == "* * * * *" {
			job.Run()
		}
	}
	if got, want := s.list("sessions")[0]["status"], string(session.StatusExpired); got != want {
		t.Errorf("the session is %v, want %s", got, want)
	}
}

func TestSuperuserFromTheEnvironment(t *testing.T) {
	t.Parallel()
	const email = "admin@plugin.example"
	s := serve(t, func(c *Config) { c.SuperuserEmail, c.SuperuserPassword = email, "long enough" })
	signIn := func(password string) int {
		return s.Request(http.MethodPost, "/api/collections/_superusers/auth-with-password",
			`{"identity":"`+email+`","password":"`+password+`"}`, asJSON).Status
	}
	if signIn("long enough") != http.StatusOK || signIn("another password") != http.StatusBadRequest {
		t.Error("the admin of the environment cannot sign in")
	}
	// A second start with another password leaves the admin's own alone.
	second := &server{config: Config{SuperuserEmail: email, SuperuserPassword: "another password"}}
	if err := second.createSuperuser(&core.ServeEvent{App: s.App}); err != nil {
		t.Fatal(err)
	}
	if signIn("long enough") != http.StatusOK {
		t.Error("the password was changed")
	}
}

// admins returns the addresses of all admins called admin, sorted.
func (s *testServer) admins() string {
	s.T.Helper()
	var emails []string
	query := s.App.DB().NewQuery("SELECT email FROM _superusers WHERE email LIKE 'admin@%' ORDER BY email")
	if err := query.Column(&emails); err != nil {
		s.T.Fatal(err)
	}
	return strings.Join(emails, " ")
}

// addAdmin makes an admin past every check.
func addAdmin(t *testing.T, app core.App, email string) {
	t.Helper()
	superusers, err := app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		t.Fatal(err)
	}
	admin := core.NewRecord(superusers)
	admin.SetEmail(email)
	admin.SetPassword("long enough")
	if err := app.Save(admin); err != nil {
		t.Fatal(err)
	}
}

// An admin's address is the same in any case: at the start, at the sign-in, and for whoever makes a second.
func TestCaseOfAdminEmails(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"new": "", "made by an earlier version": "Admin@Plugin.example",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveApp(t, func(app core.App) {
				if before != "" {
					addAdmin(t, app, before)
				}
			}, func(c *Config) {
				c.SuperuserEmail, c.SuperuserPassword = "admin@plugin.example", "long enough"
			})
			want := cmp.Or(before, "admin@plugin.example")
			if got := s.admins(); got != want {
				t.Errorf("the admins are %s", got)
			}
			for _, spelled := range []string{
				"admin@plugin.example", "ADMIN@plugin.example", "Admin@Plugin.Example",
			} {
				got := s.Request(http.MethodPost, "/api/collections/_superusers/auth-with-password",
					`{"identity":"`+spelled+`","password":"long enough"}`, asJSON)
				if got.Status != http.StatusOK {
					t.Errorf("%s cannot sign in: %d %s", spelled, got.Status, got.Body)
				}
				again := &server{config: Config{SuperuserEmail: spelled, SuperuserPassword: "another one"}}
				if err := again.createSuperuser(&core.ServeEvent{App: s.App}); err != nil {
					t.Error(err)
				}
			}
			got := s.Request(http.MethodPost, "/api/collections/_superusers/records", `{"email":`+
				`"aDMIN@plugin.example","password":"long enough","passwordConfirm":"long enough"}`,
				s.Admin(), asJSON)
			if got.Status != http.StatusBadRequest || s.admins() != want {
				t.Errorf("a second one: %d %s; the admins are %s", got.Status, got.Body, s.admins())
			}
		})
	}
}

// Two admins that an earlier version has made of one address stay, and the log says what to do. No third
// joins them. Once one is deleted, the other can sign in in any case.
func TestAdminsOfOneEmail(t *testing.T) {
	t.Parallel()
	printed := &testkit.Printed{}
	const both = "Admin@plugin.example admin@plugin.example"
	s := serveApp(t, func(app core.App) {
		for _, email := range strings.Fields(both) {
			addAdmin(t, app, email)
		}
	}, func(c *Config) {
		c.SuperuserEmail, c.SuperuserPassword = "ADMIN@plugin.example", "long enough"
		c.Log = slog.NewTextHandler(printed, nil)
	})
	if got := s.admins(); got != both || !strings.Contains(printed.String(), "nothing but capital letters") ||
		strings.Contains(printed.String(), "@") {
		t.Errorf("the admins are %s, printed:\n%s", got, printed)
	}
	first, err := s.App.FindAuthRecordByEmail(core.CollectionNameSuperusers, "Admin@plugin.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.App.Delete(first); err != nil {
		t.Fatal(err)
	}
	if err := s.server.ignoreCaseOfEmails(&core.ServeEvent{App: s.App}); err != nil {
		t.Fatal(err)
	}
	found, err := s.App.FindAuthRecordByEmail(core.CollectionNameSuperusers, "ADMIN@PLUGIN.example")
	if err != nil || found.Email() != "admin@plugin.example" {
		t.Errorf("found %v, %v", found, err)
	}
}

// Only the headers of TRUSTED_PROXY_HEADERS are believed, whatever the settings in the database say.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.TrustedProxyHeaders = []string{"Fly-Client-IP"} })
	realIP := func() string {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "192.0.2.1:1"
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		r.Header.Set("Fly-Client-IP", "198.51.100.7")
		e := &core.RequestEvent{App: s.App}
		e.Request = r
		return e.RealIP()
	}
	if got := realIP(); got != "198.51.100.7" {
		t.Errorf("at start: %s", got)
	}
	settings := s.App.Settings()
	settings.TrustedProxy.Headers = []string{"X-Forwarded-For"}
	if err := s.App.Save(settings); err != nil {
		t.Fatal(err)
	}
	if got := realIP(); got != "198.51.100.7" {
		t.Errorf("after a save in the dashboard: %s", got)
	}
}

// A shutdown is over only when the codes that are being exchanged are, however long that takes. PocketBase
// itself would wait for a second.
func TestFinishWaitsForTheExchange(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	held := holdExchanges(t, s.Provider)
	authorizationURL, readKey := s.Authorize()
	callback := s.Agree(authorizationURL)
	_, waiting := s.Authorize()
	page, polled := make(chan testkit.Answer, 1), make(chan testkit.Answer, 1)
	go func() { page <- s.Get(callback) }()
	go func() { polled <- s.Post("/poll?wait=30&readKey=" + waiting) }()
	<-held.asked
	eventually(t, "a poll is held", func() bool { return s.waitingPolls() == 1 })
	finished := make(chan struct{})
	go func() {
		s.server.finishing.Do(s.server.finish)
		close(finished)
	}()
	awaitShutdown(s.Backend)
	s.Expect("a poll that was held", <-polled, http.StatusNotFound, bodyPending)
	select {
	case <-finished:
		t.Error("the shutdown did not wait")
	default:
	}
	held.release()
	s.ExpectPage("the login in flight", <-page, http.StatusOK, "You are signed in")
	<-finished
	s.expectTokens(readKey)
}

// An app that does not commit to the disk gets a warning. That the program's own does is in TestFirstStart.
func TestPowerCutWarning(t *testing.T) {
	t.Parallel()
	printed := &testkit.Printed{}
	serve(t, func(c *Config) { c.Log = slog.NewTextHandler(printed, nil) })
	if !strings.Contains(printed.String(), "a power cut may lose the latest sign-ins") {
		t.Errorf("printed:\n%s", printed)
	}
}

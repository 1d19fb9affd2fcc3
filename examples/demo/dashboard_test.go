package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"plugin-oauth/internal/browser"
)

// stored is a session as the table has it, with times counted back from now.
type stored struct {
	plugin, status, error          string
	created, redirected, completed time.Duration // ago; 0: never
	claimed                        time.Duration
}

// row returns the session as a row of the table.
func (s stored) row(id string, now time.Time) dbx.Params {
	at := func(ago time.Duration) string {
		if ago == 0 {
			return ""
		}
		return now.Add(-ago).Format(types.DefaultDateLayout)
	}
	description, cause := "", ""
	if s.error != "" {
		description = "The sign-in did not work."
		cause = "the token endpoint answered 400 with the error " + s.error
	}
	return dbx.Params{
		"id":               id,
		"plugin":           s.plugin,
		"status":           s.status,
		"error":            s.error,
		"errorDescription": description,
		"cause":            cause,
		"origin":           "https://abc123.plugins.framercdn.com",
		"created":          at(s.created),
		"redirected":       at(s.redirected),
		"completed":        at(s.completed),
		"claimed":          at(s.claimed),
		"expires":          now.Add(10*time.Minute - s.created).Format(types.DefaultDateLayout),
		"stateHash":        []byte("s" + id),
		"readKeyHash":      []byte("r" + id),
	}
}

// store puts sessions into the backend's table, all at once: a sweep that came in between would count the
// hours of some, and never look at these hours again.
func (d *demo) store(t *testing.T, sessions ...stored) {
	t.Helper()
	now := time.Now().UTC()
	insert := func(tx core.App) error {
		for i, session := range sessions {
			id := fmt.Sprintf("past00%09d", i)
			if session.status == "pending" || session.status == "ready" {
				id = fmt.Sprintf("live00%09d", i)
			}
			if _, err := tx.DB().Insert("sessions", session.row(id, now)).Execute(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := d.app.RunInTransaction(insert); err != nil {
		t.Fatal(err)
	}
}

// everyState has sessions in each state, of three plugins: some of the last hour, some of the day and the
// week.
func everyState() []stored {
	const second, minute = time.Second, time.Minute
	sessions := []stored{
		{plugin: "", status: "pending", created: 5 * second},
		{plugin: "sheets", status: "pending", created: 100 * second, redirected: 2 * second},
		{
			plugin: "sheets", status: "ready",
			created: 200 * second, redirected: 30 * second, completed: 29 * second,
		},
		{
			plugin: "", status: "denied", error: "access_denied",
			created: 12 * minute, redirected: 11 * minute, completed: 11 * minute,
		},
		{plugin: "", status: "expired", created: 40 * minute, completed: 30 * minute},
		{
			plugin: "notion", status: "expired",
			created: 30 * minute, redirected: 29 * minute, completed: 29 * minute,
		},
	}
	for i, code := range []string{
		"redirect_uri_mismatch", "invalid_client", "invalid_scope", "invalid_grant", "invalid_request",
		"temporarily_unavailable", "server_error", "odd_code",
	} {
		ago := time.Duration(i+1) * 5 * minute
		sessions = append(sessions, stored{
			plugin: "", status: "failed", error: code,
			created: ago, redirected: ago - 20*second, completed: ago - 19*second,
		})
	}
	for i := range 200 {
		ago := 10*minute + time.Duration(i)*2*minute // 21 in the hour, 81 more in the day
		if i >= 102 {
			ago = 30*time.Hour + time.Duration(i-102)*time.Hour
		} else if i >= 21 {
			ago = 2*time.Hour + time.Duration(i-21)*13*minute
		}
		took := time.Duration(8+i%40) * second
		sessions = append(sessions, stored{
			plugin: []string{"", "sheets", "notion"}[i%3], status: "claimed",
			created: ago, redirected: ago - took + 2*second, completed: ago - took + second,
			claimed: ago - took,
		})
	}
	return sessions
}

// signInAsAdmin goes through PocketBase's own form.
func (d *demo) signInAsAdmin(t *testing.T, tab *browser.Page) {
	t.Helper()
	tab.Navigate(t, d.backendURL+"/_/")
	tab.WaitVisible(t, "input[type=password]")
	tab.Type(t, "form input:not([type=password])", d.admin.username)
	tab.Type(t, "input[type=password]", d.admin.password)
	tab.Click(t, "form button.btn:not([type=button])")
	tab.WaitVisible(t, ".po-verdict p")
}

// lookAt does what look does with a page of the dashboard, which scrolls in a box of its own.
func lookAt(t *testing.T, tab *browser.Page, name string) {
	t.Helper()
	if tab.Engine() != browser.Chromium {
		return
	}
	screenshots(t, tab, name, []int64{1440, 390}, func(width int64) (overflow int) {
		resize(t, tab, width, 900)
		height := browser.Evaluate[int64](t, tab, `Math.max(900,
			...[...document.querySelectorAll(".page-content, .modal-content")]
				.map(content => content.scrollHeight + 200))`)
		resize(t, tab, width, height)
		time.Sleep(250 * time.Millisecond) // PocketBase fades between the colours
		return browser.Evaluate[int](t, tab, `Math.max(0,
			...[...document.querySelectorAll(".page-content, .po-dialog")]
				.map(box => box.scrollWidth - box.clientWidth))`)
	})
	resize(t, tab, 1440, 900)
}

// hosts collects the hosts of all requests of a tab.
type hosts struct {
	mu   sync.Mutex
	seen []string
}

func (h *hosts) listen(event any) {
	request, ok := event.(*network.EventRequestWillBeSent)
	if !ok {
		return
	}
	u, err := url.Parse(request.Request.URL)
	if err != nil || u.Scheme == "data" || u.Scheme == "blob" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.seen, u.Scheme+"://"+u.Host) {
		h.seen = append(h.seen, u.Scheme+"://"+u.Host)
	}
}

// An admin opens the dashboard, sees how it goes, looks at one plugin, and ends a sign-in.
func TestDashboard(t *testing.T) {
	t.Parallel()
	browser.Each(t, testDashboard)
}

func testDashboard(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	d.store(t, everyState()...)
	tab := browser.Open(t, engine, "about:blank")
	if engine == browser.Chromium {
		d.checkAsked(t, tab)
	}
	d.signInAsAdmin(t, tab)
	if address := browser.Evaluate[string](t, tab, "location.hash"); address != "#/sign-ins" {
		t.Errorf("after signing in the admin is at %s", address)
	}
	tab.Until(t, "document.querySelectorAll('.po-plugin').length > 0")
	tab.Click(t, ".po-plugin summary")
	lookAt(t, tab, "sign-ins")

	d.checkEveryState(t, tab)
	checkSpans(t, tab)
	checkOnePlugin(t, tab)
	d.checkEndedByAdmin(t, tab)

	// The check of the set-up says what it finds, or that all is well.
	pressButton(t, tab, button{in: ".po-plugins", says: "Check the set-up"})
	tab.Until(t, "document.querySelector('.po-plugins .alert.success, .po-plugins .po-list') != null")
	lookAt(t, tab, "sign-ins-check")

	checkOffline(t, tab)
	checkRedraw(t, tab)

	// An admin whose session has ended is asked to sign in.
	browser.Evaluate[any](t, tab, `(() => {
		app.pb.authStore.save(app.pb.authStore.token + "x", app.pb.authStore.record)
	})()`)
	tab.WaitVisible(t, "input[type=password]")
}

// checkAsked checks at the test's end that the page has asked nobody but the backend.
func (d *demo) checkAsked(t *testing.T, tab *browser.Page) {
	t.Helper()
	asked := &hosts{}
	browser.Listen(t, tab, asked.listen)
	t.Cleanup(func() {
		asked.mu.Lock()
		defer asked.mu.Unlock()
		if fmt.Sprint(asked.seen) != "["+d.backendURL+"]" {
			t.Errorf("the page asks %v", asked.seen)
		}
	})
}

// button is a button of the page, by what it says.
type button struct {
	in   string // a selector of what it is in; blank: the page
	says string
}

// pressButton clicks a button by its words.
func pressButton(t *testing.T, tab *browser.Page, b button) {
	t.Helper()
	tab.ClickElement(t, fmt.Sprintf(`[...document.querySelectorAll(%q)]
		.find(button => button.innerText.trim() == %q)`, b.in+" button", b.says))
}

// checkEveryState checks that everything that was put in is there, in plain words.
func (d *demo) checkEveryState(t *testing.T, tab *browser.Page) {
	t.Helper()
	for selector, wants := range map[string][]string{
		".po-verdict": {"sign-ins worked during the last 24 hours."},
		".po-tiles": {
			"116\nstarted", "102\nsigned in", "8\nfailed", "1\ncancelled", "2\ntoo late", "3\nunder way",
			"95 of 100 within",
		},
		".po-live": {
			"At the provider", "Tokens are fetched", "Waits for the plugin",
			"https://abc123.plugins.framercdn.com",
		},
		".po-funnel": {"Demo plugin\n", "notion\n", "sheets\n"},
		".po-failures": {
			"redirect_uri_mismatch", "letter for letter: " + d.backendURL + "/redirect",
			"invalid_client", "CLIENT_SECRET", "invalid_scope", "Check SCOPE", "invalid_grant",
			"invalid_request", "try off in PKCE", "temporarily_unavailable", "out of reach", "odd_code",
		},
		".po-plugins": {
			d.backendURL + "/redirect", "http(s)://localhost, on any port",
			`createAuth({ backend: "` + d.backendURL + `"`,
		},
		".po-admins": {"enable One-time password (OTP) and Multi-factor authentication (MFA)"},
	} {
		shown := tab.Text(t, selector)
		for _, want := range wants {
			if !strings.Contains(shown, want) {
				t.Errorf("%s does not say %q:\n%s", selector, want, shown)
			}
		}
	}
}

// checkSpans goes from the day to the hour, which is counted to the second, and to the week, which has seven
// days of bars.
func checkSpans(t *testing.T, tab *browser.Page) {
	t.Helper()
	check := func(span string, bars int, cells string) {
		t.Helper()
		got := browser.Evaluate[string](t, tab, `[...document.querySelectorAll(".po-funnel tbody tr")]
			.map(row => row.innerText.replaceAll(/\s+/g, " ").trim()).join("; ")`)
		n := browser.Evaluate[int](t, tab, `document.querySelectorAll(".po-bar").length`)
		if !strings.Contains(got, cells) || n != bars {
			t.Errorf("of the %s: %s, %d bars", span, got, n)
		}
	}
	check("day", 24, "Demo plugin 45 43 34 34 1 8 1")
	tab.Click(t, "[data-span=hour]")
	tab.Until(t, "document.querySelector('.po-verdict').innerText.includes('the last hour')")
	check("hour", 24, "Demo plugin 18 16 7 7 1 8 1; notion 8 8 8 7 0 0 1; sheets 9 9 8 7 0 0 0")
	tab.Click(t, "[data-span=week]")
	tab.Until(t, "document.querySelector('.po-verdict').innerText.includes('the last 7 days')")
	check("week", 7*24, "Demo plugin 78 76 67 67 1 8 1")
}

func checkOnePlugin(t *testing.T, tab *browser.Page) {
	t.Helper()
	tab.Click(t, "[data-key='row sheets']")
	tab.Until(t, "document.querySelectorAll('.po-live tbody tr').length == 2")
	if shown := tab.Text(t, ".po-failures"); strings.Contains(shown, "invalid_scope") {
		t.Errorf("sheets has failures of another: %s", shown)
	}
	lookAt(t, tab, "sign-ins-of-one-plugin")
	tab.Click(t, "[data-key='row sheets']")
	tab.Until(t, "document.querySelectorAll('.po-live tbody tr').length == 3")
}

// checkEndedByAdmin checks that a sign-in that begins appears by itself, and that the admin ends it, after a
// question.
func (d *demo) checkEndedByAdmin(t *testing.T, tab *browser.Page) {
	t.Helper()
	readKey := d.startLogin(t).ReadKey
	tab.Until(t, "document.querySelectorAll('.po-live tbody tr').length == 4")
	ended := make(chan error, 1)
	go func() {
		_, err := post(t.Context(), d.backendURL+"/poll?wait=20&readKey="+readKey, http.StatusBadRequest)
		ended <- err
	}()
	tab.Click(t, ".po-live tbody tr:first-child button")
	tab.Until(t, `[...document.querySelectorAll(".modal button")]
		.some(button => button.innerText == "End it")`)
	lookAt(t, tab, "sign-ins-end")
	pressButton(t, tab, button{in: ".modal", says: "End it"})
	tab.Until(t, "document.querySelectorAll('.po-live tbody tr').length == 3")
	if err := <-ended; err != nil { // without the end, the poll is answered 404 after 20 s
		t.Error(err)
	}
}

// checkOffline checks that the page says so while the service does not answer, and goes on by itself.
func checkOffline(t *testing.T, tab *browser.Page) {
	t.Helper()
	browser.Evaluate[any](t, tab, `(() => {
		window.answering = window.fetch
		window.fetch = () => Promise.reject(new TypeError("no network"))
	})()`)
	tab.Until(t, `document.querySelector(".po-stale") != null &&
		document.querySelector(".po-fresh").innerText.includes("does not answer")`)
	browser.Evaluate[any](t, tab, "(() => { window.fetch = window.answering })()")
	tab.Until(t, `document.querySelector(".po-stale") == null &&
		document.querySelector(".po-fresh").innerText == "Live"`)
}

// checkRedraw checks that what is being selected, and where a table was scrolled to, stay when the page is
// drawn again.
func checkRedraw(t *testing.T, tab *browser.Page) {
	t.Helper()
	browser.Evaluate[any](t, tab, `(() => {
		document.querySelector(".page-content").style.maxWidth = "390px"
		document.querySelector(".po-funnel .po-scroll").scrollLeft = 60
		getSelection().selectAllChildren(document.querySelector(".po-list .txt-hint"))
		window.tile = document.querySelector(".po-tile")
	})()`)
	tab.Until(t, "window.tile !== document.querySelector('.po-tile')")
	left := browser.Evaluate[int](t, tab, "document.querySelector('.po-funnel .po-scroll').scrollLeft")
	selected := browser.Evaluate[string](t, tab, "String(getSelection())")
	if left != 60 || !strings.Contains(selected, "session past") {
		t.Errorf("the table is scrolled to %d, and %q is selected", left, selected)
	}
}

// The whole flow from the dashboard, with a real provider; no token is shown.
func TestDashboardTestSignIn(t *testing.T) {
	t.Parallel()
	browser.Each(t, testDashboardTestSignIn)
}

func testDashboardTestSignIn(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	tab := browser.Open(t, engine, "about:blank")
	d.signInAsAdmin(t, tab)
	tab.Until(t, "document.querySelectorAll('.po-plugin').length > 0")
	lookAt(t, tab, "sign-ins-nobody-yet")
	tab.Click(t, ".po-plugin summary")
	pressButton(t, tab, button{in: ".po-plugin", says: "Test sign-in"})
	opened := tab.Window(t, d.issuer)
	lookAt(t, tab, "test-sign-in-waiting")
	d.submitIn(t, opened)
	opened.WaitVisible(t, "main.success h1")
	opened.Close(t)
	tab.Until(t, "document.querySelectorAll('.po-steps .po-good').length == 4")
	pressButton(t, tab, button{in: ".po-dialog", says: "End this access at the provider"})
	tab.Until(t, "document.querySelectorAll('.po-steps .po-good').length == 5")
	lookAt(t, tab, "test-sign-in")
	shown := tab.Text(t, ".po-dialog")
	for _, want := range []string{
		"access_token, ", "token_type Bearer", "refresh_token", "id_token",
		"a new refresh token in place of the old", "The provider has ended it.",
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is missing in:\n%s", want, shown)
		}
	}
	// A token is longer than any word, and one of these is a JWT.
	dialog := browser.Evaluate[string](t, tab, "document.querySelector('.po-dialog').outerHTML")
	if regexp.MustCompile(`[A-Za-z0-9_.-]{40,}|eyJ`).MatchString(dialog) {
		t.Errorf("a token is shown: %s", dialog)
	}
	tab.Click(t, ".po-dialog button.outline")
	tab.Until(t, "document.querySelector('.po-dialog') == null")
}

// Whatever is missing of PocketBase's extension API, the rest of the dashboard loads.
func TestDashboardWithoutExtensionAPI(t *testing.T) {
	t.Parallel()
	browser.Each(t, testDashboardWithoutExtensionAPI)
}

func testDashboardWithoutExtensionAPI(t *testing.T, engine browser.Engine) {
	d := startDemo(t, "")
	source, err := os.ReadFile(filepath.Join("..", "..", "hooks", "dashboard", "main.js"))
	if err != nil {
		t.Fatal(err)
	}
	tab := browser.Open(t, engine, "about:blank")
	tab.Navigate(t, d.backendURL+"/")
	for _, app := range []string{
		"undefined", "{}", "{ pb: {} }", "{ pb: { send() {} }, routes: {} }",
		"{ pb: { send() {} }, routes: { superuserOnly() {} }, store: {} }", "{ modals: {} }",
	} {
		wrapped := fmt.Sprintf(`(async () => {
			window.app = %s
			await (async function() {%s
			})()
			return "loaded"
		})()`, app, source)
		if loaded := browser.Evaluate[string](t, tab, wrapped); loaded != "loaded" {
			t.Errorf("with %s: %q", app, loaded)
		}
	}
}

package hooks

import (
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/hooks/session"
	"plugin-oauth/internal/testkit"
)

// A login that the plugin cancels has ended for everybody: the poll that waits, the browser that comes back,
// and the admin. It does not matter how far the login was.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"at the provider", "signed in"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			authorizationURL, readKey := s.Authorize()
			callback := s.Agree(authorizationURL)
			if name == "signed in" {
				s.ExpectPage("redirect", s.Get(callback), http.StatusOK, "You are signed in")
			}
			s.Expect("cancel", s.Post("/cancel?readKey="+readKey), http.StatusNoContent, "")
			s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "access_denied")
			s.ExpectPage("redirect", s.Get(callback), http.StatusBadRequest, "Sign-in cancelled")
			if name != "signed in" && s.Provider.Exchanges() != 0 {
				t.Error("the code was exchanged")
			}
			record, err := s.App.FindFirstRecordByData("sessions", "status", "denied")
			if err != nil || record.GetString("errorDescription") != session.CancelledByPlugin().Description {
				t.Errorf("the admin sees %v, %v", record, err)
			}
		})
	}
}

// A plugin that was sent the tokens and does not want them again gets them no more.
func TestCancelAfterThePoll(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Login()
	poll := "/poll?ack=1&readKey=" + readKey
	s.Expect("poll", s.Post(poll), http.StatusOK, testkit.TokenResponse)
	s.Expect("cancel", s.Post("/cancel?readKey="+readKey), http.StatusNoContent, "")
	s.Expect("poll", s.Post(poll), http.StatusNotFound, bodyUnknown)
}

// A fault of the database is not taken for an answer.
func TestCancelWithoutDatabase(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Login()
	if _, err := s.App.DB().NewQuery("ALTER TABLE sessions RENAME TO gone").Execute(); err != nil {
		t.Fatal(err)
	}
	got := s.Post("/cancel?readKey=" + readKey)
	s.ExpectError("cancel", got, http.StatusInternalServerError, "server_error")
}

// The poll that waits hears of it at once.
func TestCancelEndsTheWait(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	_, readKey := s.Authorize()
	ended := make(chan string)
	go func() { ended <- s.Post("/poll?wait=30&readKey=" + readKey).Body }()
	eventually(t, "the poll waits", func() bool { return s.waitingPolls() == 1 })
	s.Expect("cancel", s.Request(http.MethodPost, "/cancel", `{"readKey":"`+readKey+`"}`, asJSON),
		http.StatusNoContent, "")
	if got := <-ended; !strings.Contains(got, "access_denied") {
		t.Errorf("the poll got %s", got)
	}
}

// Whatever the read key is, the answer is the same, and no other login ends.
func TestCancelNothing(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	other := root.add("other", nil)
	_, readKey := root.Authorize()
	_, claimed := root.Login()
	root.expectTokens(claimed)
	for name, key := range map[string]string{
		"none": "", "junk": "junk", "long": strings.Repeat("x", 1000), "claimed": claimed,
	} {
		root.Expect(name, root.Post("/cancel?readKey="+key), http.StatusNoContent, "")
	}
	root.Expect("another plugin's", other.Post("/cancel?readKey="+readKey), http.StatusNoContent, "")
	root.Expect("poll", root.Poll(readKey), http.StatusNotFound, bodyPending)
}

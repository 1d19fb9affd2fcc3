package hooks

import (
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// A choice that a browser sends again, on a reload or on the way back, is told what became of the login,
// though some browsers no longer say whose page it came from. Before that it counts for nothing.
func TestChoiceIsSentAgain(t *testing.T) {
	t.Parallel()
	for choice, test := range map[string]struct {
		status int
		title  string
	}{
		"continue": {status: http.StatusOK, title: "You are signed in"},
		"cancel":   {status: http.StatusBadRequest, title: "Sign-in cancelled"},
	} {
		t.Run(choice, func(t *testing.T) {
			t.Parallel()
			s := serve(t, confirming("always"))
			callback, readKey := s.startFrom(fromHome)
			page := s.Request(http.MethodGet, callback, "", fromHome)
			again := func() testkit.Answer {
				form := "choice=" + choice
				for _, field := range hidden.FindAllStringSubmatch(page.Body, -1) {
					form += "&" + field[1] + "=" + field[2]
				}
				return s.Request(http.MethodPost, "/redirect", form, fromHome,
					"Content-Type: application/x-www-form-urlencoded", "Origin: null")
			}
			s.ExpectPage("redirect", again(), http.StatusForbidden, "Sign-in failed")
			first := s.confirm(confirmation{page: page, choice: choice, address: fromHome})
			s.ExpectPage("redirect", first, test.status, test.title)
			second := again()
			s.ExpectPage("redirect", second, test.status, test.title)
			if strings.Contains(second.Body, readKey) {
				t.Error("the page has the read key")
			}
			if choice == "continue" {
				s.expectTokens(readKey)
			}
		})
	}
}

package hooks

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Refused refreshes fill neither log: a minute has so many lines of each cause, and then one that counts the
// rest.
func TestRefusedRefreshesAreLoggedInBounds(t *testing.T) {
	t.Parallel()
	s, _, out := serveLogged(t)
	var code string
	s.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"`+code+`"}`)
	})
	refused := func(name string, count int) {
		code = name
		for i := range count {
			s.Post(fmt.Sprintf("/refresh?code=%s%d", name, i))
		}
	}
	refused("invalid_client", 3*maxRepeats)
	refused("invalid_scope", 1)
	s.server.sweep()
	refused("invalid_client", 1)
	s.waitLogged("log lines were left out")
	for where, text := range map[string]string{"standard error": out.String(), "dashboard": s.Logged()} {
		lines := strings.Count(text, `"cause":"the token endpoint`)
		omitted := strings.Count(text, "log lines were left out")
		if lines != maxRepeats+2 || omitted != 1 {
			t.Errorf("%s: %d lines, %d that count the rest:\n%s", where, lines, omitted, text)
		}
		if !strings.Contains(text, fmt.Sprintf(`"count":%d`, 2*maxRepeats)) {
			t.Errorf("%s does not count the rest:\n%s", where, text)
		}
	}
}

// Strangers who make up error codes, or long addresses, fill neither log, nor do those who let logins expire
// or deny them. Logins with tokens each have their line.
func TestEndedLoginsAreLoggedInBounds(t *testing.T) {
	t.Parallel()
	s, _, out := serveLogged(t)
	end := func(code string) {
		authorizationURL, _ := s.Authorize()
		s.Get("/redirect?error=" + code + "&state=" + authorizationURL.Query().Get("state"))
	}
	for range maxRepeats + 5 {
		end("access_denied")
	}
	const causes = maxCauses + 3*maxRepeats
	for i := range causes {
		end("made_up_" + string([]byte{'a' + byte(i/26), 'a' + byte(i%26)}))
	}
	for range maxRepeats + 5 {
		_, readKey := s.Login()
		s.expectTokens(readKey)
	}
	s.server.sweep()
	outcomes := map[any]int{}
	for _, line := range out.of(t, "login ended") {
		outcomes[line["outcome"]]++
	}
	want := map[any]int{"denied": maxRepeats, "failed": maxCauses - 1 + maxRepeats, "claimed": maxRepeats + 5}
	if !maps.Equal(outcomes, want) {
		t.Errorf("standard error has %v, want %v", outcomes, want)
	}
	for _, omitted := range []string{
		`"line":"login ended","route":"denied","error":"access_denied","count":5}`,
		fmt.Sprintf(`"line":"others","route":"","error":"","count":%d}`, 2*maxRepeats+1),
	} {
		if !strings.Contains(out.String(), omitted) {
			t.Errorf("standard error does not count the rest: %s\n%s", omitted, out.String())
		}
	}
	logged := s.waitLogged("log lines were left out")
	if lines := strings.Count(logged, "plugin-oauth: login ended"); lines > maxCauses+maxRepeats {
		t.Errorf("the dashboard's log has %d lines", lines)
	}
	r := httptest.NewRequest(http.MethodGet, "/"+strings.Repeat("x", 100_000), nil)
	e := &request{Response: httptest.NewRecorder(), Request: r}
	s.server.writeError(e, formatText, internalError.because(io.EOF))
	for line := range strings.Lines(out.String()) {
		var attributes map[string]any
		if err := json.Unmarshal([]byte(line), &attributes); err != nil || len(line) > 1000 {
			t.Errorf("a line has %d bytes: %v", len(line), err)
		}
	}
}

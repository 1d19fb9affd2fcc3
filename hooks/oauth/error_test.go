package oauth

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// meanings returns all meanings.
func meanings() (all []Meaning) {
	for meaning := Refused; meaning <= ConsentRequired; meaning++ {
		all = append(all, meaning)
	}
	return all
}

// isSentences reports whether a text is one or more whole sentences.
func isSentences(text string) bool {
	first, _, _ := strings.Cut(text, " ")
	runes := []rune(first)
	return len(text) >= 20 && unicode.IsUpper(runes[0]) && strings.HasSuffix(text, ".") &&
		text == strings.TrimSpace(text) && !strings.ContainsAny(text, "\n\t") && !strings.Contains(text, "  ")
}

// The table has one row for each meaning, in whole sentences, and an admin is told a fix for each.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	if len(errorTable) != len(meanings()) {
		t.Errorf("there are %d rows for %d meanings", len(errorTable), len(meanings()))
	}
	for _, meaning := range meanings() {
		other := func(row errorRow) bool { return row.meaning != meaning }
		rows := slices.DeleteFunc(slices.Clone(errorTable), other)
		if len(rows) != 1 {
			t.Fatalf("the meaning %d has %d rows", meaning, len(rows))
		}
		row := rows[0]
		t.Run(row.person, func(t *testing.T) {
			t.Parallel()
			if !isSentences(meaning.ForPerson()) || meaning.ForPerson() != row.person {
				t.Errorf("no sentences: %q", meaning.ForPerson())
			}
			if strings.Contains(row.person, "_") || strings.Contains(row.person, "OAuth") {
				t.Errorf("these are no words for a person: %q", row.person)
			}
			expectAuthor(t, meaning)
			if row.code != "" && len(row.codes) > 0 {
				t.Error("it has both a provider's code and one of its own")
			}
			expectFix(t, meaning)
		})
	}
}

// expectAuthor checks that the author is told what to change by the names that the plugin has for it, apart
// from what the person is told.
func expectAuthor(t *testing.T, meaning Meaning) {
	t.Helper()
	author := meaning.ForAuthor(knownFields(t))
	if author == "" {
		if described := meaning.Describe(knownFields(t)); described != meaning.ForPerson() {
			t.Errorf("the description is %q", described)
		}
		return
	}
	if !isSentences(author) || strings.Contains(author, "CLIENT_ID") {
		t.Errorf("no sentences: %q", author)
	}
	described := meaning.Describe(knownFields(t))
	if !strings.HasPrefix(described, meaning.ForPerson()) || !strings.HasSuffix(described, author) {
		t.Errorf("together they are %q", described)
	}
}

// knownFields names a field in capitals, if there is such a field.
func knownFields(t *testing.T) Names {
	t.Helper()
	fields := []string{
		"clientId", "clientSecret", "tokenAuth", "scope", "pkce", "authorizeParams", "tokenEndpoint",
		"redirectUri", "issuer",
	}
	return func(field string) string {
		if !slices.Contains(fields, field) {
			t.Errorf("there is no field %s", field)
		}
		return strings.ToUpper(field)
	}
}

// expectFix checks that a fix names only what an admin can change.
func expectFix(t *testing.T, meaning Meaning) {
	t.Helper()
	client := Client{RedirectURI: "https://backend.example/redirect"}.Complete()
	fix := meaning.Fix(&client, knownFields(t))
	if !isSentences(strings.TrimSuffix(fix, client.RedirectURI)+".") || strings.Contains(fix, "%!") {
		t.Errorf("the fix is %q", fix)
	}
}

// A code means one thing, wherever it comes from: pages, /poll and the dashboard, which knows the code only.
func TestMeaningOf(t *testing.T) {
	t.Parallel()
	seen := map[string]Meaning{}
	for _, row := range errorTable {
		for _, code := range row.codes {
			if before, twice := seen[code]; twice {
				t.Errorf("%s means %d and %d", code, before, row.meaning)
			}
			seen[code] = row.meaning
			if MeaningOf(code) != row.meaning {
				t.Errorf("%s means %d", code, MeaningOf(code))
			}
			if safeCode(code) != code {
				t.Errorf("%s may not be passed on", code)
			}
		}
	}
	for _, code := range []string{"", "never_heard_of", "Invalid_Client"} {
		if MeaningOf(code) != Refused {
			t.Errorf("%q means %d", code, MeaningOf(code))
		}
	}
	for _, code := range []string{ // RFC 6749 sections 4.1.2.1 and 5.2
		"access_denied", "invalid_client", "invalid_grant", "invalid_request", "invalid_scope",
		"server_error", "temporarily_unavailable", "unauthorized_client", "unsupported_grant_type",
		"unsupported_response_type",
	} {
		if MeaningOf(code) == Refused {
			t.Errorf("nothing is known of %s", code)
		}
	}
}

// Errors that the service itself finds have one of OAuth's codes, which alone leads to the same fix.
func TestErrorsWithoutACode(t *testing.T) {
	t.Parallel()
	client := Client{RedirectURI: "https://backend.example/redirect"}.Complete()
	names := func(field string) string { return field }
	for _, row := range errorTable {
		if row.code == "" {
			continue
		}
		t.Run(row.person, func(t *testing.T) {
			t.Parallel()
			cause := errors.New("cause")
			err := newError(row.meaning, cause)
			if err.Code != row.code || err.Meaning != row.meaning || err.Status != 0 {
				t.Errorf("got %+v", err)
			}
			if !errors.Is(err, cause) {
				t.Errorf("its cause is %v", err.Cause)
			}
			if got := MeaningOf(err.Code).Fix(&client, names); got != row.meaning.Fix(&client, names) {
				t.Errorf("by its code, the fix is %q", got)
			}
		})
	}
	for _, row := range errorTable {
		if row.code == "" && row.fix == nil {
			t.Errorf("%q has no fix", row.person)
		}
	}
}

func TestFix(t *testing.T) {
	t.Parallel()
	const redirectURI = "https://backend.example/sheets/redirect"
	variables := func(field string) string { return "VARIABLE_" + field }
	for _, test := range []struct {
		code string
		pkce string
		want string // the start, or a part of it
	}{
		{code: "redirect_uri_mismatch", want: "letter for letter: " + redirectURI},
		{code: "invalid_client", want: "into VARIABLE_clientId and VARIABLE_clientSecret."},
		{code: "invalid_client", want: "try basic in VARIABLE_tokenAuth."},
		{code: "invalid_scope", want: "Check VARIABLE_scope: "},
		{code: "invalid_grant", want: "another redirect URI than " + redirectURI + ","},
		{code: "invalid_request", want: "Some providers refuse PKCE: try off in VARIABLE_pkce."},
		{code: "invalid_request", pkce: PKCEOff, want: "insist on PKCE: try on in VARIABLE_pkce."},
		{code: "invalid_request", want: "check the endpoints and VARIABLE_authorizeParams."},
		{code: "server_error", want: "look at the cause, and check VARIABLE_tokenEndpoint."},
		{code: "temporarily_unavailable", want: "out of reach."},
		{code: "access_denied", want: "documentation"},
		{code: "odd", want: "documentation"},
	} {
		t.Run(test.code+" "+test.pkce+" "+test.want, func(t *testing.T) {
			t.Parallel()
			client := Client{RedirectURI: redirectURI, PKCE: test.pkce}.Complete()
			if got := MeaningOf(test.code).Fix(&client, variables); !strings.Contains(got, test.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

// What a provider sends back with the browser (RFC 6749 section 4.1.2.1).
func TestAuthorizationError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		sent, code string
		means      Meaning
	}{
		"denied":             {sent: "access_denied", code: "access_denied", means: Denied},
		"denied, LinkedIn":   {sent: "user_cancelled_login", code: "access_denied", means: Denied},
		"denied, LinkedIn 2": {sent: "user_cancelled_authorize", code: "access_denied", means: Denied},
		"denied, Facebook":   {sent: "user_denied", code: "access_denied", means: Denied},
		"scope":              {sent: "invalid_scope", code: "invalid_scope", means: InvalidScope},
		"unknown":            {sent: "some_new_error", code: "some_new_error", means: Refused},
		"pending":            {sent: "authorization_pending", code: "server_error", means: ProviderFailed},
		"slow down":          {sent: "slow_down", code: "server_error", means: ProviderFailed},
		"expired":            {sent: "expired_token", code: "server_error", means: ProviderFailed},
		"not found":          {sent: "not_found", code: "server_error", means: ProviderFailed},
		"a property":         {sent: "constructor", code: "server_error", means: ProviderFailed},
		"the prototype":      {sent: "__proto__", code: "server_error", means: ProviderFailed},
		"HTML":               {sent: "<b>Bold & loud</b>", code: "server_error", means: ProviderFailed},
		"long": {
			sent: strings.Repeat("long", 100), code: "server_error", means: ProviderFailed,
		},
		"blank": {sent: "", code: "server_error", means: ProviderFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := AuthorizationError(test.sent)
			if err.Code != test.code || err.Meaning != test.means || err.Status != 0 || err.Malformed {
				t.Errorf("got %+v", err)
			}
			// There is nothing to log if the person said no.
			if (err.Cause == nil) != (test.means == Denied) {
				t.Errorf("its cause is %v", err.Cause)
			}
			if test.sent != "" && test.sent != test.code && strings.Contains(err.Error(), test.sent) {
				t.Errorf("it quotes the provider: %s", err)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	cause := errors.New("the cause")
	if got := (&Error{Code: "x", Cause: cause}).Error(); got != "the cause" {
		t.Errorf("got %q", got)
	}
	if got := (&Error{Code: "x"}).Error(); got != "x" {
		t.Errorf("got %q", got)
	}
}

// The answer of another issuer is refused (RFC 9207 section 2.4). Few providers send one.
func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		own, sent string
		good      bool
	}{
		"the same":      {own: "https://p.example", sent: "https://p.example", good: true},
		"none is sent":  {own: "https://p.example", good: true},
		"none is known": {sent: "https://evil.example", good: true},
		"another":       {own: "https://p.example", sent: "https://evil.example"},
		"with a slash":  {own: "https://p.example", sent: "https://p.example/"},
		"in capitals":   {own: "https://p.example", sent: "https://P.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := Client{Issuer: test.own}
			err := client.CheckIssuer(test.sent)
			if (err == nil) != test.good {
				t.Fatalf("got %v", err)
			}
			if test.good {
				return
			}
			got, ok := errors.AsType[*Error](err)
			if !ok || got.Code != "invalid_request" || got.Meaning != OtherIssuer || got.Cause == nil {
				t.Errorf("got %#v", err)
			}
			if strings.Contains(err.Error(), "evil") {
				t.Errorf("it quotes the provider: %s", err)
			}
		})
	}
}

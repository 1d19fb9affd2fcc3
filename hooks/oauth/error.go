package oauth

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Error says what a provider answered instead of tokens, or that it did not answer (RFC 6749 section 5.2).
// Its text quotes neither a secret nor the provider's own words, so it may be logged.
type Error struct {
	// Code is OAuth's error code, and safe to pass on. If the provider named none, it is server_error or
	// temporarily_unavailable.
	Code string

	// Status is the status of the provider's answer; an error under a 2xx counts as 400, or as 502 for a
	// revocation. Zero means that there was no answer, or one that is not OAuth.
	Status int

	// Meaning is what the error is about, and has the sentences for people.
	Meaning Meaning

	// Malformed says that the answer was neither a JSON object nor a form, but HTML, say.
	Malformed bool

	// RetryAfter is how long the provider asks to wait, a day at most (RFC 9110 section 10.2.3). Zero means
	// that it does not say.
	RetryAfter time.Duration

	// Cause is for the log. It is nil if there is nothing to log, since the person said no.
	Cause error
}

// Error is the text of the cause, or the code.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Code
	}
	return e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Meaning is what an error is about. Providers have many codes for the same thing.
type Meaning int

// The meanings. Their sentences are in one table: see [Meaning.ForPerson], [Meaning.ForAuthor] and
// [Meaning.Fix].
const (
	Refused            Meaning = iota // nothing more is known
	Denied                            // the person said no
	InvalidClient                     // the client ID, the secret or how they are sent
	InvalidGrant                      // the code or the refresh token is no longer good
	InvalidScope                      // what is asked for
	InvalidRedirectURI                // it is not registered
	InvalidRequest                    // an endpoint, a parameter or PKCE
	ProviderFailed                    // a fault at the provider
	ProviderBusy                      // a fault at the provider that passes by itself
	TimedOut                          // no answer in time
	Unreachable                       // no answer, or an incomplete one
	NotOAuth                          // an answer that OAuth does not have
	NotRevoked                        // a token that may still be good (RFC 7009 section 2.2.1)
	OtherTokenType                    // a token of a type that cannot be revoked (RFC 7009 section 2.2.1)
	OtherIssuer                       // an authorization response of another provider (RFC 9207 section 2.4)
	NoCode                            // an authorization response without a code and without an error
	ConsentRequired                   // somebody must sign in or allow the access at the provider first
)

// Names returns what an admin changes to change a field: a variable such as CLIENT_ID, or a field of the
// form.
type Names func(field string) string

// errorRow is a row of the table of error meanings.
type errorRow struct {
	meaning Meaning
	codes   []string // the provider's codes that mean it
	code    string   // for plugins, if no provider's code means it; its fix is the one of this code
	person  string   // what happened, and what the person who signs in can do; it names no setting

	// author says what the plugin's author can do about it. Nil means nothing.
	author func(names Names) string
	fix    func(client *Client, names Names) string
}

// What a person can do about most errors.
const (
	tellAuthor = " It is not your fault. Tell the plugin's author."
	tryAgain   = " It is not your fault. Try again in a moment; if it stays, tell the plugin's author."
)

// errorTable is the one place that says what an error means. Pages, /poll, the doctor and the dashboard take
// their words from it.
var errorTable = []errorRow{
	{
		meaning: Refused,
		person:  "The provider refused the sign-in." + tellAuthor,
		author:  says("The provider's documentation says what the error means."),
		fix:     seeProvidersDocumentation,
	},
	{
		meaning: Denied,
		codes:   []string{"access_denied"},
		person:  "The sign-in was cancelled, or access was not allowed. The plugin has no access.",
		fix:     seeProvidersDocumentation,
	},
	{
		meaning: InvalidClient,
		codes: []string{
			"invalid_client", "incorrect_client_credentials", "unauthorized_client", "bad_client_secret",
			"bad_client_id", "invalid_client_id", "invalid_client_secret",
		},
		person: "The provider does not accept the plugin itself." + tellAuthor,
		author: func(names Names) string {
			return "Check " + names("clientId") + ", " + names("clientSecret") + " and " +
				names("tokenAuth") + "."
		},
		fix: func(_ *Client, names Names) string {
			return "Copy the client ID and the client secret from the provider's console once more, into " +
				names("clientId") + " and " + names("clientSecret") + ". If they are right, the provider " +
				"may want them sent another way: try basic in " + names("tokenAuth") + "."
		},
	},
	{
		meaning: InvalidGrant,
		codes: []string{
			"invalid_grant", "bad_verification_code", "bad_refresh_token", "invalid_code",
			"invalid_refresh_token",
		},
		person: "The provider does not accept this sign-in any more. Please sign in again. If it happens " +
			"each time, tell the plugin's author.",
		author: func(names Names) string {
			return "If it happens each time, check " + names("redirectUri") + " and " +
				names("clientSecret") + "."
		},
		fix: func(client *Client, _ Names) string {
			return "Once in a while this is a page that was loaded twice, or a code that came too late: " +
				"sign in again. If it is every time, the provider knows another redirect URI than " +
				client.RedirectURI + ", or another client secret."
		},
	},
	{
		meaning: InvalidScope,
		codes:   []string{"invalid_scope"},
		person:  "The plugin asks the provider for something that it does not offer." + tellAuthor,
		author: func(names Names) string {
			return "Check " + names("scope") + ", and what the app at the provider may ask for."
		},
		fix: func(_ *Client, names Names) string {
			return "Check " + names("scope") + ": the spelling, spaces or commas between, and whether the " +
				"app at the provider may ask for it."
		},
	},
	{
		meaning: InvalidRedirectURI,
		codes:   []string{"redirect_uri_mismatch", "bad_redirect_uri"},
		person:  "The provider does not know the address that this sign-in leads back to." + tellAuthor,
		author: func(names Names) string {
			return "Enter the redirect URI at the provider, letter for letter as " + names("redirectUri") +
				" has it."
		},
		fix: func(client *Client, _ Names) string {
			return "Enter this redirect URI at the provider, letter for letter: " + client.RedirectURI
		},
	},
	{
		meaning: InvalidRequest,
		codes:   []string{"invalid_request", "unsupported_response_type", "unsupported_grant_type"},
		person:  "The provider does not accept the way the plugin asks." + tellAuthor,
		author: func(names Names) string {
			return "Check the endpoints, " + names("pkce") + " and " + names("authorizeParams") + "."
		},
		fix: func(client *Client, names Names) string {
			pkce := "Some providers refuse PKCE: try off in "
			if !client.usesPKCE() {
				pkce = "Some providers insist on PKCE: try on in "
			}
			return pkce + names("pkce") + ". Otherwise check the endpoints and " +
				names("authorizeParams") + "."
		},
	},
	{
		meaning: ProviderFailed,
		codes:   []string{"server_error"},
		person:  "The provider has a problem of its own." + tryAgain,
		fix: func(_ *Client, names Names) string {
			return "The provider had a fault of its own, or its answer was not OAuth. If it stays, look at " +
				"the cause, and check " + names("tokenEndpoint") + "."
		},
	},
	{
		meaning: ProviderBusy,
		codes:   []string{"temporarily_unavailable"},
		person:  "The provider has a problem of its own." + tryAgain,
		fix: func(*Client, Names) string {
			return "The provider was down, slow or out of reach. If it stays, check the set-up below: it " +
				"says whether the token endpoint is right and answers."
		},
	},
	{
		meaning: TimedOut,
		code:    "temporarily_unavailable",
		person:  "The provider took too long to answer." + tryAgain,
	},
	{
		meaning: Unreachable,
		code:    "temporarily_unavailable",
		person:  "The provider could not be reached." + tryAgain,
		author:  func(names Names) string { return "Check " + names("tokenEndpoint") + "." },
	},
	{
		meaning: NotOAuth,
		code:    "server_error",
		person:  "The provider gave an answer without access for the plugin." + tryAgain,
		author: func(names Names) string {
			return "The answer is not OAuth. Look at the cause in the log, and check " +
				names("tokenEndpoint") + "."
		},
	},
	{
		meaning: NotRevoked,
		code:    "server_error",
		person:  "The provider did not end the access." + tryAgain,
	},
	{
		meaning: OtherTokenType,
		codes:   []string{"unsupported_token_type"},
		person:  "The provider did not end the access, since it cannot end it this way." + tellAuthor,
		author: says("This token cannot be revoked. Send the other one: the refresh token in place of the " +
			"access token, or the access token in place of the refresh token."),
		fix: func(*Client, Names) string {
			return "The provider revokes tokens of one type only. The plugin must send the other one: the " +
				"refresh token in place of the access token, or the other way round."
		},
	},
	{
		meaning: OtherIssuer,
		code:    "invalid_request",
		person: "The answer comes from another provider than the one that was asked. Nothing was shared." +
			tellAuthor,
		author: func(names Names) string {
			return "Check " + names("issuer") + " against the provider's metadata."
		},
	},
	{
		meaning: NoCode,
		code:    "server_error",
		person:  "The provider sent you back without an answer. Nothing was shared." + tryAgain,
	},
	{
		meaning: ConsentRequired,
		codes: []string{
			"interaction_required", "login_required", "consent_required", "account_selection_required",
		},
		person: "The provider waits for you, or for the owner of the account, to sign in there or to allow " +
			"the access. After that, start the sign-in again in the plugin.",
		fix: func(_ *Client, names Names) string {
			return "Somebody must sign in or allow the access at the provider first. If it is every time, " +
				"look for prompt=none in " + names("authorizeParams") + "."
		},
	},
}

// says returns a sentence for the author that names no setting.
func says(sentence string) func(Names) string { return func(Names) string { return sentence } }

func seeProvidersDocumentation(*Client, Names) string {
	return "The provider's documentation says what this code means."
}

// MeaningOf returns what an error code means.
func MeaningOf(code string) Meaning {
	i := slices.IndexFunc(errorTable, func(row errorRow) bool { return slices.Contains(row.codes, code) })
	if i < 0 {
		return Refused
	}
	return errorTable[i].meaning
}

func (m Meaning) row() errorRow {
	i := slices.IndexFunc(errorTable, func(row errorRow) bool { return row.meaning == m })
	return errorTable[i]
}

// ForPerson says what happened to the person who signs in, and what that person can do. It is in our own
// words: the provider's may quote the code or the token.
func (m Meaning) ForPerson() string { return m.row().person }

// ForAuthor says what the plugin's author can do about an error, for the small print. It names what to change
// as names does, and is blank if there is nothing to do.
func (m Meaning) ForAuthor(names Names) string {
	author := m.row().author
	if author == nil {
		return ""
	}
	return author(names)
}

// Describe says both in one text: what happened, and what the author can do.
func (m Meaning) Describe(names Names) string {
	author := m.ForAuthor(names)
	if author == "" {
		return m.ForPerson()
	}
	return m.ForPerson() + " For the author: " + author
}

// Fix says what an admin can usually do about an error. It names what to change as names does.
func (m Meaning) Fix(client *Client, names Names) string {
	row := m.row()
	if row.fix == nil {
		row = MeaningOf(row.code).row()
	}
	return row.fix(client, names)
}

// newError returns the error for a meaning that no provider's code stands for.
func newError(meaning Meaning, cause error) *Error {
	return &Error{Code: meaning.row().code, Meaning: meaning, Cause: cause}
}

// errRedirected is the cause of an authorization error response.
var errRedirected = errors.New("the provider redirected with this error")

// AuthorizationError returns the error of an authorization error response (RFC 6749 section 4.1.2.1). Some
// providers have a code of their own for a person who says no.
func AuthorizationError(code string) *Error {
	if len(code) <= maxWords && personSaidNo().MatchString(code) {
		code = "access_denied"
	}
	code = cmp.Or(safeCode(code), "server_error")
	err := &Error{Code: code, Meaning: MeaningOf(code)}
	if err.Meaning != Denied {
		err.Cause = errRedirected
	}
	return err
}

// CheckIssuer compares the iss parameter of an authorization response with the client's issuer, if both are
// there (RFC 9207 section 2.4). It returns nil or an *[Error].
func (c *Client) CheckIssuer(iss string) error {
	if iss == "" || c.Issuer == "" || iss == c.Issuer {
		return nil
	}
	return newError(OtherIssuer, errors.New("the iss parameter is not the plugin's issuer"))
}

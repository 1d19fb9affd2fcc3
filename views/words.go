package views

import (
	"strings"
	"time"

	"github.com/a-h/templ"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"plugin-oauth/hooks/oauth"
)

// Words are all that the pages say, in one language. Each language is a type with a method for each sentence:
// where one is missing, it does not compile, and the compiler names it. The fields of a struct would not do
// that: a keyed literal may leave some out, and an unkeyed one of sixty strings may be in the wrong order.
//
// A sentence may have names of others in it: {plugin}, {provider} and {app} are replaced by a name, and {ago}
// by what Ago returns. Nothing is known of their gender or their case, nor whether they are written from
// right to left. What each says in English is in words_english.go and in the table of errors of the package
// oauth.
type Words interface {
	headings
	results
	questions
	providerErrors
	ownErrors
}

// headings are the titles of the pages.
type headings interface {
	SignedIn() string
	Cancelled() string
	Failed() string
	TookTooLong() string
	NotFinished() string
	NothingHere() string
	NothingToFinish() string
	OneMoment() string
	DidYouStart() string
}

// results are what the pages of a result say of what to do next.
type results interface {
	Connected() string        // {plugin}, {provider}
	ConnectedUnnamed() string // {provider}
	Close() string            // {app}
	StartAgain() string       // {app}
	StillWaits() string
	ReturnTo() string // {app}; a button
	LoadsAgain() string
}

// questions are what the page says that asks whether the person has started a sign-in. Its reader may be
// about to give an account away.
type questions interface {
	Started() string          // {ago}
	StartedElsewhere() string // {ago}
	Ago(minutes int) string   // how long ago; zero: less than one
	GivesAway() string        // {provider}, {plugin}
	GivesAwayUnnamed() string // {provider}
	OnlyIfYou() string        // {app}
	Cancel() string           // a button
	Continue() string         // a button
	ChooseAfterRestart() string
	ChooseLater() string
}

// providerErrors are the sentences of oauth.Meaning.ForPerson.
type providerErrors interface {
	ProviderRefused() string
	AccessDenied() string
	ClientRefused() string
	GrantRefused() string
	ScopeRefused() string
	AddressUnknown() string
	RequestRefused() string
	ProviderFailed() string
	TimedOut() string
	Unreachable() string
	NoAccess() string
	OtherProvider() string
	NoAnswer() string
	ConsentRequired() string
}

// ownErrors are what went wrong here.
type ownErrors interface {
	DoneOrStartAgain() string
	ForeignChoice() string
	TooMuchTime() string
	EndedBefore() string
	UnknownSignIn() string
	FailedBefore() string
	ManySignIns() string
	BeingFinished() string
	Restarting() string
	StartAgainThere() string
	NoPlugin() string
	NotUsable() string
	SwitchedOff() string
	NoSuchAddress() string
	NotForPeople() string
	Fault() string
	NotRead() string
}

// Sentence is a method of [Words], such as Words.SignedIn: a sentence in any language.
type Sentence func(Words) string

// ofMeaning has the sentence of each meaning that a page can show. Only /revoke answers with the other two,
// to the plugin.
var ofMeaning = map[oauth.Meaning]Sentence{
	oauth.Refused:            Words.ProviderRefused,
	oauth.Denied:             Words.AccessDenied,
	oauth.InvalidClient:      Words.ClientRefused,
	oauth.InvalidGrant:       Words.GrantRefused,
	oauth.InvalidScope:       Words.ScopeRefused,
	oauth.InvalidRedirectURI: Words.AddressUnknown,
	oauth.InvalidRequest:     Words.RequestRefused,
	oauth.ProviderFailed:     Words.ProviderFailed,
	oauth.ProviderBusy:       Words.ProviderFailed,
	oauth.TimedOut:           Words.TimedOut,
	oauth.Unreachable:        Words.Unreachable,
	oauth.NotOAuth:           Words.NoAccess,
	oauth.NotRevoked:         Words.ProviderRefused,
	oauth.OtherTokenType:     Words.ProviderRefused,
	oauth.OtherIssuer:        Words.OtherProvider,
	oauth.NoCode:             Words.NoAnswer,
	oauth.ConsentRequired:    Words.ConsentRequired,
}

// SentenceOf returns what an error of a provider says to the person.
func SentenceOf(meaning oauth.Meaning) Sentence { return ofMeaning[meaning] }

// names are what is put into sentences.
type names struct {
	Plugin, Provider, App string
	Ago                   string
	Started               time.Time
}

// fill puts the names into a sentence. Each is isolated, so that one which is written from right to left
// leaves the order of the words around it alone, and the other way round.
func (n names) fill(sentence string) templ.Component {
	isolated := func(name string) string { return "<bdi>" + templ.EscapeString(name) + "</bdi>" }
	started := `<time datetime="` + n.Started.UTC().Format(time.RFC3339) + `">` +
		templ.EscapeString(n.Ago) + "</time>"
	return templ.Raw(strings.NewReplacer(
		"{plugin}", isolated(n.Plugin), "{provider}", isolated(n.Provider), "{app}", isolated(n.App),
		"{ago}", started,
	).Replace(templ.EscapeString(sentence)))
}

// pluralOf returns the plural form of a number in a language that has more than two (CLDR plural rules).
func pluralOf(tag language.Tag, number int) plural.Form {
	return plural.Cardinal.MatchPlural(tag, number, 0, 0, 0, 0)
}

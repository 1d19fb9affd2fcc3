// Package views holds the pages that a person sees in the browser after signing in at the provider. There is
// one component for each: [ShowResult], [ShowQuestion] and [ShowRestarting]. They are written in the
// [Language] that they are given. The nonce of a page's style and scripts comes from the context of its
// Render method: see [github.com/a-h/templ.WithNonce].
package views

// Kind is what a page says at a glance, with its colour and its icon.
type Kind string

// The kinds of a result.
const (
	Success Kind = "success"
	Denied  Kind = "denied"
	Failed  Kind = "failed"
	Expired Kind = "expired"
	Notice  Kind = "notice" // not about a sign-in
)

// undecided is the kind of a question.
const undecided Kind = "question"

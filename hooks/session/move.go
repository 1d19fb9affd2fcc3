package session

import "time"

// Moved is all that a [Table] has stored of a session, on its way into a table of another kind: a machine
// becomes one of several that share their sessions, or goes on without the others.
type Moved struct {
	// Row has all of its fields. KeptUntil is zero if there are no tokens.
	Row
	// Cause is that of the [Failure], and Claimed is when the plugin got the tokens.
	Cause   string
	Claimed time.Time
	// Sealed are the tokens, sealed, of a session that is ready or whose tokens are kept. Nil: there are
	// none.
	Sealed []byte
}

// WithoutTokens returns the session as it goes on where nobody knows whether its tokens were given: they are
// not given again, and whoever still waits for them is told to start again.
func (m Moved) WithoutTokens() Moved {
	if m.Status == StatusReady {
		failure := Interrupted("another machine may have given the tokens")
		m.Status, m.Cause = failure.Status, failure.Cause
		m.Code, m.Description = failure.Code, failure.Description
	}
	m.Sealed, m.KeptUntil = nil, time.Time{}
	return m
}

package session

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Outcome is how a login ended, and when it reached each stage. The time of a stage that it did not reach is
// zero.
type Outcome struct {
	// Session is the id of the session.
	Session string
	// Plugin is the slug of its plugin, which is empty for the one at the root.
	Plugin string
	// Status is the last status of the session.
	Status Status
	// Error is OAuth's error code of a login that was denied or failed.
	Error string
	// Cause is why it failed, for the log. It quotes no secret.
	Cause string
	// Created is when the login began.
	Created time.Time
	// Redirected is when the browser came back from the provider.
	Redirected time.Time
	// Completed is when the login got its tokens, or ended without any.
	Completed time.Time
	// Ended is when the plugin got the tokens, or when the login ended in another way.
	Ended time.Time
}

// Failure is how a login ends without tokens.
type Failure struct {
	// Status is StatusDenied or StatusFailed.
	Status Status
	// Code is the error code that the plugin is told (RFC 6749 section 4.1.2.1).
	Code string
	// Description is the sentence that the plugin is told.
	Description string
	// Cause is why it failed, for the admin. The plugin is not told, so [Sessions.Claim] leaves it empty.
	Cause string
}

// Error returns the code and the description.
func (f *Failure) Error() string {
	return f.Code + ": " + f.Description
}

// CancelledByAdmin returns the failure of a login that the admin ends. To the plugin it looks as if the
// person had cancelled.
func CancelledByAdmin() Failure {
	return Failure{
		Status:      StatusDenied,
		Code:        "access_denied",
		Description: "The sign-in was ended by the admin. Please start again.",
	}
}

// CancelledByPlugin returns the failure of a login that the person cancels in the plugin.
func CancelledByPlugin() Failure {
	return Failure{
		Status:      StatusDenied,
		Code:        "access_denied",
		Description: "The sign-in was cancelled in the plugin.",
	}
}

// Interrupted returns the failure of a login that cannot go on, for a cause that is a fault of the service.
func Interrupted(cause string) Failure {
	return Failure{
		Status:      StatusFailed,
		Code:        "server_error",
		Description: "The sign-in was interrupted. Please start again.",
		Cause:       cause,
	}
}

// Complete seals the provider's token response for the plugin to claim. It fails with ErrExpired or
// ErrCancelled if the session expired, or was cancelled or deleted, while the code was exchanged.
func (s *Sessions) Complete(ctx context.Context, pending Pending, tokens []byte) error {
	sealed, err := sealing{sessionID: pending.ID}.seal(pending.publicKey, tokens)
	if err != nil {
		return err
	}
	now := s.now()
	completed, err := s.table.Complete(ctx, pending.ID, sealed, now)
	switch {
	case err != nil || completed:
		return err
	case !now.Before(pending.Expires):
		return ErrExpired
	default:
		return ErrCancelled
	}
}

// Fail ends the session with this id without tokens. It reports whether the session was still pending.
func (s *Sessions) Fail(ctx context.Context, id string, failure Failure) (ended bool, err error) {
	return s.table.Fail(ctx, id, failure, s.now())
}

// Cancel ends the session with this id for the admin; see [CancelledByAdmin]. It reports whether the session
// was still under way, or its tokens were not claimed yet.
func (s *Sessions) Cancel(ctx context.Context, id string) (cancelled bool, err error) {
	return s.table.Cancel(ctx, id, CancelledByAdmin(), s.now())
}

// FindCancellable returns the id of the session of a read key for [Sessions.CancelForPlugin], or "" if that
// would change nothing: it is unknown, has ended, or is being claimed. Tokens that the plugin was sent, and
// has not acknowledged, are erased: it does not want them again.
func (s *Sessions) FindCancellable(ctx context.Context, owner Owner, readKey string) (id string, err error) {
	if login, pending := s.FindPending(owner, readKey); pending {
		return login.row.ID, nil
	}
	claim, err := s.Claim(ctx, owner, readKey)
	_, ended := errors.AsType[*Failure](err)
	switch {
	case ended || isAnswer(err):
		return "", nil
	case err != nil:
		return "", err
	case claim.Again:
		return "", claim.Ack(ctx)
	default:
		return claim.SessionID, claim.Release(ctx)
	}
}

// CancelForPlugin ends the session with this id; see [CancelledByPlugin]. If it has ended meanwhile, nothing
// changes.
func (s *Sessions) CancelForPlugin(ctx context.Context, id string) error {
	_, err := s.table.Cancel(ctx, id, CancelledByPlugin(), s.now())
	return err
}

// isAnswer reports whether an error says what has become of a session, and not that something is broken.
func isAnswer(err error) bool {
	answers := []error{ErrUnknown, ErrPending, ErrTaken, ErrExpired}
	return slices.ContainsFunc(answers, func(answer error) bool { return errors.Is(err, answer) })
}

package session

import (
	"context"
	"errors"
)

// Claim is the right to give the tokens of a session to its plugin. Its holder must call Ack, Keep or
// Release.
type Claim struct {
	// SessionID is the id by which the admin knows the session.
	SessionID string
	// Tokens is the provider's token response, byte for byte.
	Tokens []byte
	// Again says that the plugin was sent the tokens before, and has not acknowledged them.
	Again bool

	sessions *Sessions
	hold     Hold
}

// Claim returns the tokens of a read key. Of any number of concurrent calls at most one succeeds, until it is
// released or kept; after an Ack none does. It fails with ErrUnknown, ErrPending, ErrTaken, ErrExpired, or
// with a *[Failure] if the login was denied or failed.
func (s *Sessions) Claim(ctx context.Context, owner Owner, readKey string) (*Claim, error) {
	if len(readKey) > maxKeyLength {
		return nil, ErrUnknown
	}
	now := s.now()
	hold, err := s.table.TakeClaim(ctx, owner, keyHash(readKey), now)
	if err != nil {
		return nil, err
	}
	if hold.Holder == "" {
		return nil, hold.Row.CheckClaim(now)
	}
	tokens, err := sealing{sessionID: hold.Row.ID}.open(readKey, hold.Sealed)
	if err == nil && !hold.Until.IsZero() && !s.now().Before(hold.Until) {
		err = ErrTaken // It took so long that another may have them by now.
	}
	if err != nil {
		return nil, errors.Join(err, s.table.Release(context.WithoutCancel(ctx), hold))
	}
	again := hold.Row.Status == StatusClaimed
	return &Claim{SessionID: hold.Row.ID, Tokens: tokens, Again: again, sessions: s, hold: hold}, nil
}

// Ack records that the plugin has the tokens, and erases them. If that fails, nobody gets them again either,
// and the sweep erases them later.
func (c *Claim) Ack(ctx context.Context) error {
	return c.sessions.table.Ack(ctx, c.hold, c.sessions.now())
}

// Keep records that the plugin was sent the tokens, and keeps them for it until it acknowledges them, or for
// an [AckWindow]. If that fails, they wait for its next poll.
func (c *Claim) Keep(ctx context.Context) error {
	return c.sessions.table.Keep(ctx, c.hold, c.sessions.now())
}

// Release gives the claim back: the plugin left before it had the tokens, which wait for its next poll.
func (c *Claim) Release(ctx context.Context) error {
	return c.sessions.table.Release(ctx, c.hold)
}

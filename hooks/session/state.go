package session

import (
	"context"
	"crypto/hmac"
	"errors"
	"net/netip"
	"strings"
	"time"

	"plugin-oauth/internal/fair"
)

// StartRequest is what is known of a login that begins.
type StartRequest struct {
	// Tenant is the shop, directory or subdomain at the provider. It is empty if the provider has none.
	Tenant string
	// Origin is that of the page that asked, for the admin. It may be empty.
	Origin string
	// Network is where the client is known to be. It is stored as a MAC only.
	Network netip.Prefix
	// Source is where the client's limits count it. It is kept in memory only. Logins without one count as
	// those of one network.
	Source fair.Source
}

// Started is a login that has begun. None of the three secrets is stored.
type Started struct {
	// State goes to the provider and comes back with the browser.
	State string
	// ReadKey goes to the plugin, which claims the tokens with it.
	ReadKey string
	// Verifier is the code verifier (RFC 7636), for the code challenge.
	Verifier string
	// Expires is when the login must have ended.
	Expires time.Time
}

// Start begins a login. If too many are under way, one of the region that weighs the most expires early: of
// the network that has started the most there, the oldest that never came back from the provider. Start fails
// with ErrFull if all of them have come back.
func (s *Sessions) Start(ctx context.Context, owner Owner, request StartRequest) (Started, error) {
	// As a table keeps it. It is the clock on the wall, too: the monotonic one stops while a machine sleeps.
	now := s.now().Truncate(time.Millisecond)
	state, readKey := newKey(now), newKey(now)
	private, err := keyPair(readKey)
	if err != nil {
		return Started{}, err
	}
	row := Row{
		ID:          newID(now),
		Owner:       owner,
		StartedBy:   s.machine,
		Status:      StatusPending,
		Tenant:      strings.Clone(request.Tenant), // it would keep all of its request in memory
		Origin:      strings.Clone(request.Origin),
		StateHash:   keyHash(state),
		ReadKeyHash: keyHash(readKey),
		PublicKey:   private.PublicKey().Bytes(),
		Network:     networkMAC(state, request.Network),
		Created:     now,
		Expires:     now.Add(s.ttl).Truncate(time.Millisecond),
	}
	if err := s.makeRoom(ctx, row.ID, request.Source); err != nil {
		return Started{}, err
	}
	if err := s.table.Insert(ctx, row); err != nil {
		s.unreserve(row.ID)
		return Started{}, err
	}
	verifier := codeVerifier(state, row.PublicKey)
	return Started{State: state, ReadKey: readKey, Verifier: verifier, Expires: row.Expires}, nil
}

// Pending is a session whose browser has come back from the provider.
type Pending struct {
	// ID is the session's, as the admin knows it.
	ID string
	// Tenant is that of the [StartRequest].
	Tenant string
	// Created is when the login began.
	Created time.Time
	// Expires is when it must have ended.
	Expires time.Time

	state              string
	publicKey, network []byte
}

// Elsewhere reports whether the login was started from another network than this one. Of a login that a
// version without that knowledge started, it is false.
func (p Pending) Elsewhere(network netip.Prefix) bool {
	return p.network != nil && !hmac.Equal(p.network, networkMAC(p.state, network))
}

// Verifier returns the code verifier (RFC 7636) that the code must be exchanged with.
func (p Pending) Verifier() string {
	return codeVerifier(p.state, p.publicKey)
}

// Peek returns the session of a state that has not been used, and uses up nothing. It fails with ErrUnknown,
// ErrUsed or ErrExpired.
func (s *Sessions) Peek(ctx context.Context, owner Owner, state string) (Pending, error) {
	if len(state) > maxKeyLength {
		return Pending{}, ErrUnknown
	}
	hash := keyHash(state)
	if row, found := s.findUnused(owner, hash); found {
		return newPending(row, state), nil
	}
	row, err := s.table.ByState(ctx, owner, hash)
	if err == nil {
		err = row.CheckState(s.now())
	}
	if err != nil {
		return Pending{}, err
	}
	return newPending(row, state), nil
}

// Consume uses up a state and returns its session: of any number of calls with one state exactly one
// succeeds. It fails with ErrUnknown, ErrUsed or ErrExpired.
func (s *Sessions) Consume(ctx context.Context, owner Owner, state string) (Pending, error) {
	if len(state) > maxKeyLength {
		return Pending{}, ErrUnknown
	}
	hash := keyHash(state)
	row, err := s.table.Consume(ctx, owner, hash, s.now())
	if err != nil {
		return Pending{}, err
	}
	s.markUsed(row)
	return newPending(row, state), nil
}

// Revisit is Outcome for who can wait: it fails with ErrPending only if the context ends first.
func (s *Sessions) Revisit(ctx context.Context, owner Owner, state string) (Row, error) {
	row, err := s.Outcome(ctx, owner, state)
	if !errors.Is(err, ErrPending) {
		return row, err
	}
	s.mu.RLock()
	login := s.byID[row.ID]
	s.mu.RUnlock()
	if login != nil { // else it has ended just now
		select {
		case <-login.ended:
		case <-ctx.Done():
		}
	}
	return s.Outcome(ctx, owner, state)
}

// Outcome returns the row of a state that has been used, for a browser that comes back once more: its Status,
// Code and Description say what became of the login. It fails with ErrUnknown, with ErrExpired if the time
// was over before the plugin had the tokens, or with ErrPending if the login is under way, and the row has
// its ID then.
func (s *Sessions) Outcome(ctx context.Context, owner Owner, state string) (Row, error) {
	if len(state) > maxKeyLength {
		return Row{}, ErrUnknown
	}
	// What is known is told even if the context has ended.
	row, err := s.table.ByState(context.WithoutCancel(ctx), owner, keyHash(state))
	switch {
	case err != nil:
		return Row{}, err
	case errors.Is(row.CheckClaim(s.now()), ErrExpired):
		return Row{}, ErrExpired
	case row.Status == StatusPending:
		return row, ErrPending
	}
	return row, nil
}

func newPending(row Row, state string) Pending {
	return Pending{
		ID:        row.ID,
		Tenant:    row.Tenant,
		Created:   row.Created,
		Expires:   row.Expires,
		state:     state,
		publicKey: row.PublicKey,
		network:   row.Network,
	}
}

package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"sync"
	"time"

	"plugin-oauth/hooks/session"
)

// claims says who is getting which tokens. It is in memory, since one process owns the data folder: a crash
// frees all claims, and the tokens are still in their rows.
type claims struct {
	mu        sync.Mutex
	byReadKey map[string]*claim // by the hash of the read key
}

// claim is held by the one caller that made it, from before it reads the row.
type claim struct {
	decided chan struct{} // closed when it is known whether the row could be claimed
	taken   bool          // it could be
	acked   bool          // the plugin has the tokens, but that is not stored yet
	hold    session.Hold  // what the caller got
}

// begin returns the claim of a read key, and whether the caller is the one who made it.
func (c *claims) begin(readKeyHash []byte) (one *claim, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.byReadKey[string(readKeyHash)]; one != nil {
		return one, false
	}
	one = &claim{decided: make(chan struct{})}
	c.byReadKey[string(readKeyHash)] = one
	return one, true
}

// decide says what became of a claim that was begun: it is taken, or it is nobody's again.
func (c *claims) decide(one *claim, taken bool, hold session.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one.taken, one.hold = taken, hold
	if !taken {
		delete(c.byReadKey, string(hold.Row.ReadKeyHash))
	}
	close(one.decided)
}

// held returns the claim that a hold stands for, or nil if it is the present one no more. The caller has the
// lock.
func (c *claims) held(hold session.Hold) *claim {
	one := c.byReadKey[string(hold.Row.ReadKeyHash)]
	if one == nil || !one.taken || one.hold.Holder != hold.Holder {
		return nil
	}
	return one
}

// holds reports whether a hold is the present one.
func (c *claims) holds(hold session.Hold) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held(hold) != nil
}

// markAcked keeps a claim until a sweep has stored that the plugin has the tokens.
func (c *claims) markAcked(hold session.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.held(hold); one != nil {
		one.acked, one.hold.Sealed = true, nil
	}
}

// release lets the next caller have the tokens, unless the plugin has them.
func (c *claims) release(hold session.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.held(hold); one != nil && !one.acked {
		delete(c.byReadKey, string(hold.Row.ReadKeyHash))
	}
}

// remove forgets a claim whose row has no tokens any more.
func (c *claims) remove(hold session.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held(hold) != nil {
		delete(c.byReadKey, string(hold.Row.ReadKeyHash))
	}
}

// await waits until it is decided what became of somebody else's claim. It fails with ErrTaken or ErrUnknown
// if the tokens are the other's; else they are anybody's.
func (c *claims) await(ctx context.Context, one *claim) error {
	select {
	case <-one.decided:
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case one.taken && one.acked:
		return session.ErrUnknown
	case one.taken:
		return session.ErrTaken
	}
	return nil
}

// acked returns the holds of the claims whose tokens the plugin has, though that is not stored yet.
func (c *claims) acked() (holds []session.Hold) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.byReadKey {
		if one.acked {
			holds = append(holds, one.hold)
		}
	}
	return holds
}

// TakeClaim reads the row of a read key, and takes its claim if it can be claimed.
func (t *Table) TakeClaim(
	ctx context.Context, owner session.Owner, readKeyHash []byte, now time.Time,
) (session.Hold, error) {
	for {
		one, mine := t.claims.begin(readKeyHash)
		if mine {
			return t.takeClaim(ctx, one, owner, readKeyHash, now)
		}
		// Somebody else's. Unless the row is ready that does not matter, and each is told what became of the
		// login.
		hold, err := t.readClaim(ctx, false, owner, readKeyHash)
		if err != nil || hold.Row.CheckClaim(now) != nil {
			return hold, err
		}
		if err := t.claims.await(ctx, one); err != nil {
			return session.Hold{}, err
		}
		// The other read the row before it was ready, or under another owner.
	}
}

// takeClaim reads the row of a claim that was begun, and decides the claim. The row is read only now that the
// claim is the caller's: whoever held it before may have acknowledged it since.
func (t *Table) takeClaim(
	ctx context.Context, one *claim, owner session.Owner, readKeyHash []byte, now time.Time,
) (hold session.Hold, err error) {
	taken := false
	defer func() {
		hold.Row.ReadKeyHash = readKeyHash
		t.claims.decide(one, taken, hold)
	}()
	hold, err = t.readClaim(ctx, true, owner, readKeyHash)
	if err != nil || hold.Row.CheckClaim(now) != nil {
		return hold, err
	}
	taken, hold.Holder = true, rand.Text()
	return hold, nil
}

// readClaim reads the row of a read key, with its tokens if they are wanted.
func (t *Table) readClaim(
	ctx context.Context, withTokens bool, owner session.Owner, readKeyHash []byte,
) (session.Hold, error) {
	hold := session.Hold{Row: session.Row{Owner: owner, ReadKeyHash: readKeyHash}}
	var expires string
	found := t.statements.byReadKey.QueryRowContext(ctx,
		withTokens, readKeyHash, owner.Slug, owner.Fingerprint)
	err := found.Scan(
		&hold.Row.ID, &hold.Row.Status, &hold.Row.Code, &hold.Row.Description, &expires, &hold.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		err = session.ErrUnknown
	}
	if err != nil {
		return session.Hold{}, err
	}
	hold.Row.Expires = readTime(expires)
	return hold, nil
}

// Ack erases the tokens.
func (t *Table) Ack(ctx context.Context, hold session.Hold, now time.Time) error {
	if !t.claims.holds(hold) {
		return nil
	}
	outcomes, err := t.outcomes(ctx, t.statements.ack, timestamp(now), hold.Row.ID)
	if err != nil {
		t.claims.markAcked(hold)
		return err
	}
	t.claims.remove(hold)
	t.notifyEnded(outcomes)
	return nil
}

// Release gives the claim back. It never fails.
func (t *Table) Release(_ context.Context, hold session.Hold) error {
	t.claims.release(hold)
	return nil
}

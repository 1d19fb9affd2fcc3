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

// claimRegistry says who is getting which tokens. It is in memory, since one process owns the data folder: a
// crash frees all claims, and the tokens are still in their rows.
type claimRegistry struct {
	mu        sync.Mutex
	byReadKey map[string]*heldClaim // by the hash of the read key
}

// heldClaim is a claim that one caller holds, from before it reads the row.
type heldClaim struct {
	decided chan struct{} // closed when it is known whether the row could be claimed
	taken   bool          // the row could be claimed
	acked   bool          // the plugin has the tokens, but that is not stored yet
	hold    session.Hold  // what the caller got
}

// findOrAdd returns the claim of a read key, and whether it is new: then the caller holds it, and must decide
// it.
func (r *claimRegistry) findOrAdd(readKeyHash []byte) (claim *heldClaim, isNew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if claim := r.byReadKey[string(readKeyHash)]; claim != nil {
		return claim, false
	}
	claim = &heldClaim{decided: make(chan struct{})}
	r.byReadKey[string(readKeyHash)] = claim
	return claim, true
}

// decide records whether a new claim is taken. If it is not, it is removed.
func (r *claimRegistry) decide(claim *heldClaim, taken bool, hold session.Hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	claim.taken, claim.hold = taken, hold
	if !taken {
		delete(r.byReadKey, string(hold.Row.ReadKeyHash))
	}
	close(claim.decided)
}

// held returns the claim that a hold stands for, or nil if the hold is no longer the current one. The caller
// holds the lock.
func (r *claimRegistry) held(hold session.Hold) *heldClaim {
	claim := r.byReadKey[string(hold.Row.ReadKeyHash)]
	if claim == nil || !claim.taken || claim.hold.Holder != hold.Holder {
		return nil
	}
	return claim
}

// isCurrent reports whether a hold is the current one of its row.
func (r *claimRegistry) isCurrent(hold session.Hold) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held(hold) != nil
}

// markAcked keeps a claim until a sweep has stored that the plugin has the tokens.
func (r *claimRegistry) markAcked(hold session.Hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if claim := r.held(hold); claim != nil {
		claim.acked, claim.hold.Sealed = true, nil
	}
}

// release lets the next caller have the tokens, unless the plugin has them.
func (r *claimRegistry) release(hold session.Hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if claim := r.held(hold); claim != nil && !claim.acked {
		delete(r.byReadKey, string(hold.Row.ReadKeyHash))
	}
}

// remove deletes a claim whose row no longer has tokens.
func (r *claimRegistry) remove(hold session.Hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held(hold) != nil {
		delete(r.byReadKey, string(hold.Row.ReadKeyHash))
	}
}

// await waits until another caller's claim is decided. It fails with ErrTaken or ErrUnknown if the other
// caller gets the tokens; otherwise the claim is free.
func (r *claimRegistry) await(ctx context.Context, claim *heldClaim) error {
	select {
	case <-claim.decided:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case claim.taken && claim.acked:
		return session.ErrUnknown
	case claim.taken:
		return session.ErrTaken
	}
	return nil
}

// acked returns the holds of the claims whose tokens the plugin has, though that is not stored yet.
func (r *claimRegistry) acked() (holds []session.Hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, claim := range r.byReadKey {
		if claim.acked {
			holds = append(holds, claim.hold)
		}
	}
	return holds
}

// TakeClaim reads the row of a read key, and takes its claim if it can be claimed.
func (t *Table) TakeClaim(
	ctx context.Context, owner session.Owner, readKeyHash []byte, now time.Time,
) (session.Hold, error) {
	for {
		claim, isNew := t.claims.findOrAdd(readKeyHash)
		if isNew {
			return t.takeClaim(ctx, claim, owner, readKeyHash, now)
		}
		// Another caller's. That matters only if the row is ready; otherwise all callers are told what became
		// of the login.
		hold, err := t.readClaim(ctx, false, owner, readKeyHash)
		if err != nil || hold.Row.CheckClaim(now) != nil {
			return hold, err
		}
		if err := t.claims.await(ctx, claim); err != nil {
			return session.Hold{}, err
		}
		// The other caller read the row before it was ready, or as another owner.
	}
}

// takeClaim reads the row of a new claim, and decides the claim. The row is read only now that the caller
// holds the claim: whoever held it before may have acknowledged it since.
func (t *Table) takeClaim(
	ctx context.Context, claim *heldClaim, owner session.Owner, readKeyHash []byte, now time.Time,
) (hold session.Hold, err error) {
	taken := false
	defer func() {
		hold.Row.ReadKeyHash = readKeyHash
		t.claims.decide(claim, taken, hold)
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
	var expires, claimed string
	found := t.statements.byReadKey.QueryRowContext(ctx,
		withTokens, readKeyHash, owner.Slug, owner.Fingerprint)
	err := found.Scan(
		&hold.Row.ID, &hold.Row.Status, &hold.Row.Code, &hold.Row.Description, &expires, &claimed,
		&hold.Sealed)
	if errors.Is(err, sql.ErrNoRows) {
		err = session.ErrUnknown
	}
	if err != nil {
		return session.Hold{}, err
	}
	hold.Row.Expires = readTime(expires)
	if claimed != "" {
		hold.Row.KeptUntil = readTime(claimed).Add(session.AckWindow)
	}
	return hold, nil
}

// Ack erases the tokens.
func (t *Table) Ack(ctx context.Context, hold session.Hold, now time.Time) error {
	if !t.claims.isCurrent(hold) {
		return nil
	}
	if hold.Row.Status == session.StatusClaimed {
		if _, err := t.writer.exec(ctx, t.statements.forget, hold.Row.ID); err != nil {
			t.claims.markAcked(hold)
			return err
		}
		t.claims.remove(hold)
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

// Keep records that the plugin was sent the tokens.
func (t *Table) Keep(ctx context.Context, hold session.Hold, now time.Time) error {
	if !t.claims.isCurrent(hold) {
		return nil
	}
	defer t.claims.remove(hold)
	if hold.Row.Status == session.StatusClaimed {
		return nil
	}
	outcomes, err := t.outcomes(ctx, t.statements.keep, timestamp(now), hold.Row.ID)
	if err == nil {
		t.notifyEnded(outcomes)
	}
	return err
}

// Release gives the claim back. It never fails.
func (t *Table) Release(_ context.Context, hold session.Hold) error {
	t.claims.release(hold)
	return nil
}

package etcd

import (
	"context"
	"errors"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/hooks/session"
)

// claimTime is how long a claim is held. If its machine dies, the next poll gets the tokens after that.
const claimTime = 3 * time.Second

// isHeld reports whether somebody holds the claim of a row. How long another machine has held it, this
// process measures itself, since the clocks of two machines differ: tokens would be given twice.
func (t *Table) isHeld(e entry, now time.Time) bool {
	if e.Clock == t.options.Machine {
		return milliseconds(now) < e.Until
	}
	return e.Until != 0 && time.Since(e.seen) < t.timing.hold
}

// claimable returns a row as [session.Row.CheckClaim] of this machine takes it: how long another machine has
// kept the tokens is measured likewise.
func (t *Table) claimable(e entry, now time.Time) session.Row {
	row := e.row()
	if e.isKept() && e.Clock != t.options.Machine {
		row.KeptUntil = now.Add(session.AckWindow - time.Since(e.kept))
	}
	return row
}

// errAsItIs says that a row has no tokens, for a reason that stands in it.
var errAsItIs = errors.New("the session has no tokens to claim")

// TakeClaim takes the claim of a row that can be claimed, and reads its tokens in the same transaction.
func (t *Table) TakeClaim(
	ctx context.Context, owner session.Owner, readKeyHash []byte, now time.Time,
) (session.Hold, error) {
	began := time.Now()
	var row session.Row
	where := byReadKey(owner, readKeyHash)
	r := newRequest(where, t.timing.short, func(e entry) (change, error) {
		row = t.claimable(e, now)
		switch {
		case t.isDelivered(e.id):
			return change{}, session.ErrUnknown
		case row.CheckClaim(now) != nil:
			return change{}, errAsItIs
		case t.isHeld(e, now):
			return change{}, session.ErrTaken
		}
		next := e.record
		next.Until, next.Clock = milliseconds(now.Add(claimTime)), t.options.Machine
		if e.isKept() {
			next.KeptUntil = milliseconds(row.KeptUntil)
		}
		read := clientv3.OpGet(tokenKeys + e.id)
		return change{record: next, tokens: &read}, nil
	})
	taken, response, err := t.do(ctx, r)
	if errors.Is(err, errAsItIs) {
		return session.Hold{Row: row}, nil
	}
	if err != nil {
		return session.Hold{}, err
	}
	hold := session.Hold{Row: taken.row(), Holder: taken.By, Until: readTime(taken.Until)}
	hold.Sealed, err = t.tokens(ctx, taken.id, response)
	if err == nil && time.Since(began) > t.timing.claim {
		err = session.ErrTaken
	}
	if err != nil {
		return session.Hold{}, errors.Join(err, t.Release(context.WithoutCancel(ctx), hold))
	}
	return hold, nil
}

// tokens returns the sealed tokens that a transaction has read. If its answer was lost, it reads them again.
func (t *Table) tokens(ctx context.Context, id string, response *clientv3.TxnResponse) ([]byte, error) {
	const readTokens = 1 // the operation of the transaction that comes after the Put
	if response != nil {
		if kvs := response.Responses[readTokens].GetResponseRange().Kvs; len(kvs) > 0 {
			return kvs[0].Value, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.timing.short)
	defer cancel()
	read, err := t.kv.Get(ctx, tokenKeys+id)
	if err != nil {
		return nil, err
	}
	if len(read.Kvs) > 0 {
		return read.Kvs[0].Value, nil
	}
	return nil, errors.New("the tokens of a session that has some are not there")
}

// holds reports whether a hold is the present one of a row.
func (e entry) holds(hold session.Hold) bool {
	return (e.Status == session.StatusReady || e.isKept()) && e.Until != 0 && e.By == hold.Holder
}

// Ack erases the tokens. If that cannot be stored, this machine gives them to nobody, and other machines when
// the claim is over: to a plugin that asks for what it has.
func (t *Table) Ack(ctx context.Context, hold session.Hold, now time.Time) error {
	ended, done, err := t.doIf(ctx, newRequest(byID(hold.Row.ID), t.timing.long,
		func(e entry) (change, error) {
			if !e.holds(hold) {
				return change{}, errNot
			}
			next := e.record
			next.Until, next.KeptUntil = 0, 0
			if e.Status == session.StatusReady {
				next.Status, next.Claimed = session.StatusClaimed, milliseconds(now)
			}
			return change{record: next, tokens: deleteTokens(e.id)}, nil
		}))
	t.setDelivered(hold, err != nil)
	if done && hold.Row.Status == session.StatusReady {
		t.notifyEnded(ended)
	}
	return err
}

// Keep records that the plugin was sent the tokens.
func (t *Table) Keep(ctx context.Context, hold session.Hold, now time.Time) error {
	ended, done, err := t.doIf(ctx, newRequest(byID(hold.Row.ID), t.timing.long,
		func(e entry) (change, error) {
			if !e.holds(hold) {
				return change{}, errNot
			}
			next := e.record
			next.Until = 0
			if e.Status == session.StatusReady {
				next.Status, next.Claimed = session.StatusClaimed, milliseconds(now)
				next.KeptUntil = milliseconds(now.Add(session.AckWindow))
				next.Clock = t.options.Machine
			}
			return change{record: next}, nil
		}))
	if done && hold.Row.Status == session.StatusReady {
		t.notifyEnded(ended)
	}
	return err
}

// Release gives the claim back.
func (t *Table) Release(ctx context.Context, hold session.Hold) error {
	_, _, err := t.doIf(ctx, newRequest(byID(hold.Row.ID), t.timing.long, func(e entry) (change, error) {
		if !e.holds(hold) {
			return change{}, errNot
		}
		next := e.record
		next.Until = 0
		return change{record: next}, nil
	}))
	return err
}

// isDelivered reports whether a plugin has the tokens of a session, though that is not stored yet.
func (t *Table) isDelivered(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, delivered := t.unstored[id]
	return delivered
}

// setDelivered notes whether it is to be stored that a plugin has its tokens.
func (t *Table) setDelivered(hold session.Hold, unstored bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if unstored {
		hold.Sealed = nil
		t.unstored[hold.Row.ID] = hold
	} else {
		delete(t.unstored, hold.Row.ID)
	}
}

// delivered returns the holds of which it is to be stored that the plugin has the tokens.
func (t *Table) delivered() (holds []session.Hold) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, hold := range t.unstored {
		holds = append(holds, hold)
	}
	return slices.Clip(holds)
}

package session

import (
	"context"
	"time"
)

// Copy is where a machine keeps a copy of the rows of a [Table] that machines share: its admin looks there.
// It has nothing that is secret. The table decides, and the copy follows some moments later.
//
// The table calls its methods one at a time. After an error it begins again, with all rows.
type Copy interface {
	// Living returns the ids of the records that are pending or ready.
	Living(ctx context.Context) (ids []string, err error)
	// Store stores what has become of some rows. It may get what it has already.
	Store(ctx context.Context, records []Record) error
}

// Record is a session as the admin sees it.
type Record struct {
	// ID, Plugin, Tenant and Origin are those of the [Row].
	ID, Plugin, Tenant, Origin string
	// Status is what has become of the session. It is empty if all that is known is that it was deleted or
	// removed.
	Status Status
	// Code, Description and Cause say why a session was denied or failed; see [Failure].
	Code, Description, Cause string
	// Created and Expires are when the login began, and when all that is secret must be gone.
	Created, Expires time.Time
	// Redirected, Completed and Claimed are when the browser came back, when the login ended at the provider,
	// and when the plugin got the tokens. A time that is zero has not come.
	Redirected, Completed, Claimed time.Time
	// Deleted says that the record is to be deleted: an admin has done so on one of the machines.
	Deleted bool
	// Removed says that the machines no longer share the row. If that is before its time, because there are
	// too many, the copy is bounded by it as well.
	Removed bool
}

// SharedRetention is how long machines share the row of a login after it has expired. One that was away for
// longer than that never learns what has become of the login, and has only the [Total] of its hour.
const SharedRetention = 30 * time.Minute

// Total counts the logins of one plugin that began in one hour.
type Total struct {
	// Hour is when the hour began.
	Hour time.Time
	Funnel
}

// KnowsMore reports whether f counts logins of the same hour and plugin that other does not, or counts them
// as they were later. A login first starts and ends last, and neither is ever undone. So of the counts of
// several machines the one that knows most is the truth, as soon as one of them has seen all.
func (f Funnel) KnowsMore(other Funnel) bool {
	for i, count := range f.progress() {
		if before := other.progress()[i]; count != before {
			return count > before
		}
	}
	return false
}

// progress returns the counts that only grow, from the one that decides. Finished comes last, since a login
// that is cancelled with its tokens is no longer one that got any.
func (f Funnel) progress() [4]int {
	return [...]int{f.Started, f.Claimed + f.Denied + f.Failed + f.Expired, f.Redirected, f.Finished}
}

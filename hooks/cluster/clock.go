package cluster

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// clock knows how far the clock of this machine is from those of most machines.
type clock struct {
	correction atomic.Int64  // see [Roster.Correction]
	known      chan struct{} // closed once enough of the others were heard to tell
	isKnown    bool          // the roster's lock guards it
}

// correctBeyond is how far a clock may be off without being corrected: a message may be under way that long.
// One that is corrected stays so until it is off by half of that, or it would come and go.
const correctBeyond = 2 * time.Second

// Correction is what is to be added to the clock of this machine, so that it is as the machines have it: as
// the one that is in the middle of all. Zero: it is right, or nobody knows better. What machines share goes
// by that time. Otherwise one whose clock is off would end the sign-ins of all others.
func (r *Roster) Correction() time.Duration { return time.Duration(r.clock.correction.Load()) }

// AwaitClocks waits until Correction is known, or the context ends.
func (r *Roster) AwaitClocks(ctx context.Context) {
	select {
	case <-r.clock.known:
	case <-ctx.Done():
	}
}

// correct takes in what is known of the clocks. The caller holds the lock.
func (r *Roster) correct() {
	names := r.member.names()
	others := make([]time.Duration, 0, len(names))
	for _, name := range names {
		if known := r.heard[name]; known != nil && len(known.ahead) > 0 && name != r.member.config.Name {
			others = append(others, slices.Max(known.ahead))
		}
	}
	beyond := correctBeyond
	if r.Correction() != 0 {
		beyond /= 2
	}
	correction, isKnown := correctionBy(others, len(names), beyond)
	if isKnown && !r.clock.isKnown {
		r.clock.isKnown = true
		close(r.clock.known)
	}
	before := time.Duration(r.clock.correction.Swap(int64(correction)))
	if (before == 0) != (correction == 0) {
		r.logCorrection(correction)
	}
}

func (r *Roster) logCorrection(correction time.Duration) {
	if correction == 0 {
		r.member.config.Log.Info("the clock of this machine is as those of the others again")
		return
	}
	r.member.config.Log.Warn("the clock of this machine differs from those of the others, by which sign-ins "+
		"go now; set it", "ahead", -correction.Round(time.Second))
}

// correctionBy returns by how much this machine's clock has to be corrected, if the clocks of others are so
// far ahead of it, and whether that would be the same if all machines of the cluster were known.
// It is zero unless it is beyond a bound.
func correctionBy(
	others []time.Duration, machines int, beyond time.Duration,
) (correction time.Duration, isKnown bool) {
	clocks := make([]time.Duration, max(1, machines)) // those that are not known count as this one
	copy(clocks[min(1, len(clocks)-1):], others)
	slices.Sort(clocks)
	correction = clocks[len(clocks)/2]
	if correction.Abs() <= beyond {
		correction = 0
	}
	alike := 1 // which are as this one is
	for _, ahead := range others {
		if ahead.Abs() <= correctBeyond {
			alike++
		}
	}
	return correction, len(others)+1 >= machines || alike > machines/2
}

// addAhead takes in how far ahead of this machine's clock another one's is, as a message has it. It is so far
// ahead at least. If it is less than before, the message was long under way, as when this machine was frozen;
// or one of the clocks was set, and then the next message says the same. Of messages that come late together
// no two do.
func (h *heard) addAhead(ahead time.Duration) {
	if len(h.ahead) > 0 && ahead < slices.Max(h.ahead)-correctBeyond {
		late := h.late
		h.late = &ahead
		if late == nil || (ahead-*late).Abs() > correctBeyond {
			return
		}
		h.ahead = nil
	}
	h.late = nil
	h.ahead = append(h.ahead, ahead)
	h.ahead = slices.Clone(h.ahead[max(0, len(h.ahead)-aheadSamples):])
}

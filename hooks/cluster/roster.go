package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Machine is one of the cluster, as this machine knows it.
type Machine struct {
	// Name is the one in the list of machines.
	Name string
	// Version is the program's. It is empty if nothing was ever heard of the machine.
	Version string
	// IsThis says that it is this machine, and Leads that it leads the cluster.
	IsThis, Leads bool
	// Seen is when this machine last heard of it. Zero: never.
	Seen time.Time
	// Silent is how long it has told nothing, while this machine heard of others, or of itself. It is not
	// known of the time before this machine's start.
	Silent time.Duration
	// Free is how many bytes its disk with the data has left, or nil if that is not known.
	Free *uint64
	// Size is how many bytes the cluster's data take there. Zero: that is not known.
	Size int64
	// Slow is how long writes to its disk took in the worst ten seconds of the last minute, or nil. Half of
	// the time that it waited for its disk then, it was for writes that took this long or longer.
	Slow *time.Duration
	// Behind is how many changes it had not stored when it was last heard, or nil until then.
	Behind *uint64
	// Ahead is by how much its clock is ahead of this machine's. It is negative if that one is behind, and
	// nil until the machine was heard.
	Ahead *time.Duration
}

// RosterOptions say what a machine tells the others of itself.
type RosterOptions struct {
	// Version is the program's.
	Version string
	// Free returns how many bytes the disk with the data has left, if that is known.
	Free func() (bytes uint64, known bool)

	now   func() time.Time                        // the clock of this machine; nil: time.Now
	slow  func() (took time.Duration, known bool) // how slow its disk is; nil: as etcd has it
	every time.Duration                           // how often the others are told; zero: 10 seconds
}

// Roster tells the other machines every 10 seconds that this one is there, and knows when it last heard of
// them. Make it with [Member.NewRoster]. It is safe for concurrent use.
type Roster struct {
	member  *Member
	options RosterOptions

	stop    context.CancelFunc
	running sync.WaitGroup
	asked   chan struct{} // has something if another machine wants to hear of this one
	clock   clock

	mu     sync.Mutex
	heard  map[string]*heard // by the name of the machine
	latest time.Time         // when any machine was heard, this one too
	own    presence          // what this machine has said last
	lag    watchLag
	began  time.Time
}

// machineKeys is what the keys of machines begin with, and no key of another package does. They go with no
// lease: an election would prolong it.
const machineKeys = "machine/"

// presence is the value of a key. A version reads what the next one writes.
type presence struct {
	Version string `json:"version"`
	// Time is that of the machine's clock, in milliseconds since 1970.
	Time int64 `json:"time"`
	// Free is how many bytes its disk has left, or nil.
	Free *uint64 `json:"free,omitempty"`
	// Size is how many bytes the cluster's data take on it.
	Size int64 `json:"size,omitempty"`
	// Slow is how long its writes take, in nanoseconds, or nil.
	Slow *time.Duration `json:"slow,omitempty"`
	// Applied is the latest change that it has stored, by its number, or zero.
	Applied uint64 `json:"applied,omitempty"`
	// Asks says that the machine has just been started, and wants to know the clocks of the others.
	Asks bool `json:"asks,omitempty"`
}

// heard is what is known of another machine.
type heard struct {
	presence

	at     time.Time       // by the clock of this machine
	ahead  []time.Duration // as its latest messages had it
	late   *time.Duration  // as the latest one had it, if that does not count yet; or nil
	behind *uint64         // nil: it was only recalled
}

// aheadSamples is how many messages tell how far a clock is ahead. A message that was long under way makes
// it look further behind than it is, so the one that was fastest is right.
const aheadSamples = 3

const (
	presenceEvery = 10 * time.Second
	// followAgainAfter is how long to wait if the others cannot be followed.
	followAgainAfter = time.Second
)

// NewRoster returns the roster of the machines, which is kept until Close is called. That comes before
// [Member.Stop].
func (m *Member) NewRoster(options RosterOptions) *Roster {
	if options.now == nil {
		options.now = time.Now
	}
	if options.every == 0 {
		options.every = presenceEvery
	}
	if options.slow == nil {
		disk := &writes{}
		options.slow = func() (time.Duration, bool) { return disk.slow(time.Now()) }
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Roster{
		member:  m,
		options: options,
		stop:    stop,
		asked:   make(chan struct{}, 1),
		clock:   clock{known: make(chan struct{})},
		heard:   map[string]*heard{},
		began:   options.now(),
	}
	r.running.Go(func() { r.tell(ctx) })
	r.running.Go(func() { r.follow(ctx) })
	r.running.Go(func() { r.note(ctx) })
	return r
}

// Close ends the roster. The others see that this machine is not heard any more.
func (r *Roster) Close() {
	r.stop()
	r.running.Wait()
}

// tell tells the others that this machine is there, until the context ends.
func (r *Roster) tell(ctx context.Context) {
	every := time.NewTicker(r.options.every)
	defer every.Stop()
	for asks := true; ; {
		if r.put(ctx, asks) {
			asks = false
		}
		r.relieve(ctx)
		select {
		case <-every.C:
		case <-r.asked:
		case <-ctx.Done():
			return
		}
	}
}

// put tells the others once. If it fails, the next time comes soon, and they see that this one is away.
func (r *Roster) put(ctx context.Context, asks bool) (stored bool) {
	ctx, cancel := context.WithTimeout(ctx, r.options.every)
	defer cancel()
	present := r.present()
	present.Asks = asks
	r.mu.Lock()
	r.own = present
	r.lag.told(time.Now())
	r.mu.Unlock()
	value, err := json.Marshal(present)
	if err != nil {
		return false // text and numbers can always be encoded
	}
	_, err = r.member.client.Put(ctx, machineKeys+r.member.config.Name, string(value))
	return err == nil
}

// present is what this machine is like at the moment.
func (r *Roster) present() presence {
	server := r.member.etcd.Server
	present := presence{
		Version: r.options.Version,
		Time:    r.options.now().UnixMilli(),
		Free:    r.free(),
		Size:    server.Backend().Size(),
		Applied: server.AppliedIndex(),
	}
	if took, known := r.options.slow(); known {
		present.Slow = &took
	}
	return present
}

// free returns what is left on the disk of this machine.
func (r *Roster) free() *uint64 {
	if bytes, known := r.options.Free(); known {
		return &bytes
	}
	return nil
}

// follow listens to the others until the context ends.
func (r *Roster) follow(ctx context.Context) {
	for ctx.Err() == nil {
		r.listen(ctx)
		select {
		case <-time.After(followAgainAfter):
		case <-ctx.Done():
		}
	}
}

// listen reads what the machines have said last, and listens to them until that breaks off.
func (r *Roster) listen(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said, err := r.member.client.Get(ctx, machineKeys, clientv3.WithPrefix(), clientv3.WithSerializable())
	if err != nil {
		return
	}
	for _, kv := range said.Kvs {
		r.recall(strings.TrimPrefix(string(kv.Key), machineKeys), kv.Value)
	}
	from := clientv3.WithRev(said.Header.Revision + 1)
	for response := range r.member.client.Watch(ctx, machineKeys, clientv3.WithPrefix(), from) {
		if response.Err() != nil {
			return
		}
		for _, event := range response.Events {
			if event.Type == clientv3.EventTypePut {
				r.hear(strings.TrimPrefix(string(event.Kv.Key), machineKeys), event.Kv.Value)
			}
		}
	}
}

// recall takes in what a machine said some time ago: when that was, only its own clock tells.
func (r *Roster) recall(name string, value []byte) {
	var present presence
	if err := json.Unmarshal(value, &present); err != nil {
		return // of a later version; the row says that the machine was never seen
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seeOwn(name, present)
	if r.heard[name] == nil {
		at := time.UnixMilli(present.Time)
		if now := r.options.now(); at.After(now) {
			at = now
		}
		r.heard[name] = &heard{presence: present, at: at}
	}
}

// hear takes in what a machine says just now.
func (r *Roster) hear(name string, value []byte) {
	var present presence
	if err := json.Unmarshal(value, &present); err != nil {
		return
	}
	now := r.options.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.heard[name]
	if known == nil {
		known = &heard{}
		r.heard[name] = known
	}
	known.presence, known.at, r.latest = present, now, now
	if r.currentLag() <= correctBeyond { // else all that is heard here is old
		known.addAhead(time.UnixMilli(present.Time).Sub(now))
	}
	if present.Applied > 0 {
		committed := r.member.etcd.Server.CommittedIndex()
		known.behind = new(committed - min(committed, present.Applied))
	}
	r.seeOwn(name, present)
	if name == r.member.config.Name {
		return
	}
	r.correct()
	if present.Asks {
		select {
		case r.asked <- struct{}{}:
		default: // it is about to be told
		}
	}
}

// seeOwn takes in that the latest message of this machine has come back. The caller holds the lock.
func (r *Roster) seeOwn(name string, present presence) {
	if name == r.member.config.Name && present.Time == r.own.Time && !r.lag.waiting.IsZero() {
		r.lag.seen(time.Now())
	}
}

// Machines returns all machines of the cluster, sorted by name.
func (r *Roster) Machines() (machines []Machine) {
	leader := r.member.Leader()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range r.member.names() {
		machine := Machine{Name: name, Leads: name == leader}
		if known := r.heard[name]; known != nil {
			machine.Version, machine.Seen, machine.Free = known.Version, known.at, known.Free
			machine.Size, machine.Slow, machine.Behind = known.Size, known.Slow, known.behind
			if len(known.ahead) > 0 {
				machine.Ahead = new(slices.Max(known.ahead))
			}
		}
		machine.Silent = r.silent(name)
		if name == r.member.config.Name {
			machine.IsThis, machine.Version = true, r.options.Version
			machine.Seen, machine.Free, machine.Ahead = r.options.now(), r.free(), new(time.Duration(0))
			server := r.member.etcd.Server
			machine.Size, machine.Slow = server.Backend().Size(), r.own.Slow
			machine.Behind = new(server.CommittedIndex() - server.AppliedIndex())
		}
		machines = append(machines, machine)
	}
	return machines
}

// silent returns how long a machine has told nothing. If this one hears nobody, not even itself, then it is
// this one that is cut off, or behind. The caller holds the lock.
func (r *Roster) silent(name string) time.Duration {
	since := r.began
	if known := r.heard[name]; known != nil && known.at.After(since) { // else it was only recalled
		since = known.at
	}
	return max(0, r.latest.Sub(since))
}

// slowLeader is how slow the writes of a machine get before another should lead: all wait for them.
const slowLeader = 500 * time.Millisecond

// relieve lets another machine lead, if the disk of this one is slow and another's is not.
func (r *Roster) relieve(ctx context.Context) {
	var own Machine
	var others []Machine
	for _, machine := range r.Machines() {
		switch {
		case machine.IsThis:
			own = machine
		case machine.Slow != nil && *machine.Slow <= slowLeader/2 && r.isFresh(machine):
			others = append(others, machine)
		}
	}
	if !own.Leads || own.Slow == nil || *own.Slow <= slowLeader || len(others) == 0 {
		return
	}
	quickest := slices.MinFunc(others, func(a, b Machine) int { return cmp.Compare(*a.Slow, *b.Slow) })
	if err := r.member.moveLeader(ctx, quickest.Name); err != nil {
		r.member.config.Log.Warn("the disk of this machine is slow, and no other could lead", "cause", err)
		return
	}
	r.member.config.Log.Warn("the disk of this machine is slow, so another leads now",
		"machine", quickest.Name)
}

// isFresh reports whether a machine was heard lately.
func (r *Roster) isFresh(machine Machine) bool {
	return machine.Ahead != nil && r.options.now().Sub(machine.Seen) < 3*r.options.every
}

// moveLeader lets another machine lead.
func (m *Member) moveLeader(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, changeTime)
	defer cancel()
	server := m.etcd.Server
	for _, member := range server.Cluster().Members() {
		if m.machineOf(member) == name && !member.IsLearner {
			return server.MoveLeader(ctx, uint64(server.MemberID()), uint64(member.ID))
		}
	}
	return errors.New("it does not vote")
}

// watchLag is how long a message of this machine takes until it comes back from the others: it is stored by
// most of them, and watched by this one.
type watchLag struct {
	last    time.Duration
	waiting time.Time // since when; zero: the latest message has come back
}

func (l *watchLag) told(now time.Time) {
	if l.waiting.IsZero() {
		l.waiting = now
	}
}

func (l *watchLag) seen(now time.Time) { l.last, l.waiting = now.Sub(l.waiting), time.Time{} }

// WatchLag is how long a change takes at the moment until this machine sees it: to be stored, and to be
// watched. It grows while nothing can be stored.
func (r *Roster) WatchLag() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.currentLag()
}

// currentLag is [Roster.WatchLag]. The caller holds the lock.
func (r *Roster) currentLag() time.Duration {
	if r.lag.waiting.IsZero() {
		return r.lag.last
	}
	return max(r.lag.last, time.Since(r.lag.waiting))
}

// names returns the names of the members, sorted.
func (m *Member) names() (names []string) {
	for _, member := range m.etcd.Server.Cluster().Members() {
		name := m.machineOf(member)
		if name == "" {
			name = member.Name // it is about to be removed
		}
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

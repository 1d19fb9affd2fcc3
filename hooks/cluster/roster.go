package cluster

import (
	"context"
	"encoding/json"
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
	// Free is how many bytes its disk with the data has left, or nil if that is not known.
	Free *uint64
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

	now   func() time.Time // the clock of this machine; nil: time.Now
	every time.Duration    // how often the others are told; zero: 10 seconds
}

// Roster tells the other machines every 10 seconds that this one is there, and knows when it last heard of
// them. Make it with [Member.NewRoster]. It is safe for concurrent use.
type Roster struct {
	member  *Member
	options RosterOptions

	stop    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	heard map[string]*heard // by the name of the machine
}

// machineKeys is what the keys of machines begin with. They go with no lease: an election would prolong it.
const machineKeys = "m/"

// presence is the value of a key. A version reads what the next one writes.
type presence struct {
	Version string `json:"version"`
	// Time is that of the machine's clock, in milliseconds since 1970.
	Time int64 `json:"time"`
	// Free is how many bytes its disk has left, or nil.
	Free *uint64 `json:"free,omitempty"`
}

// heard is what is known of another machine.
type heard struct {
	presence

	at    time.Time       // by the clock of this machine
	ahead []time.Duration // as its latest messages had it
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
	ctx, stop := context.WithCancel(context.Background())
	r := &Roster{member: m, options: options, stop: stop, heard: map[string]*heard{}}
	r.running.Go(func() { r.tell(ctx) })
	r.running.Go(func() { r.follow(ctx) })
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
	for {
		r.put(ctx)
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

// put tells the others once. If it fails, the next time comes soon, and they see that this one is away.
func (r *Roster) put(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.options.every)
	defer cancel()
	present := presence{Version: r.options.Version, Time: r.options.now().UnixMilli(), Free: r.free()}
	value, err := json.Marshal(present)
	if err != nil {
		return // text and numbers can always be encoded
	}
	_, _ = r.member.client.Put(ctx, machineKeys+r.member.config.Name, string(value))
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
	known.presence, known.at = present, now
	known.ahead = append(known.ahead, time.UnixMilli(present.Time).Sub(now))
	known.ahead = slices.Clone(known.ahead[max(0, len(known.ahead)-aheadSamples):])
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
			if len(known.ahead) > 0 {
				machine.Ahead = new(slices.Max(known.ahead))
			}
		}
		if name == r.member.config.Name {
			machine.IsThis, machine.Version = true, r.options.Version
			machine.Seen, machine.Free, machine.Ahead = r.options.now(), r.free(), new(time.Duration(0))
		}
		machines = append(machines, machine)
	}
	return machines
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

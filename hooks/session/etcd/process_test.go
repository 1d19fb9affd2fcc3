package etcd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sessiontest"
	"plugin-oauth/internal/etcdtest"
)

// The suite again, with a process of its own for each machine. One that starts again has been killed.
func TestProcesses(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(t *testing.T) sessiontest.Store { return &processes{prefix: newPrefix()} })
}

// processes are machines on this one.
type processes struct {
	prefix  string
	running []*process
}

func (p *processes) Open(t *testing.T) session.Table {
	for _, running := range p.running {
		running.kill()
	}
	return p.start(t, "a")
}

func (p *processes) Join(t *testing.T) session.Table { return p.start(t, "b") }

func (p *processes) start(t *testing.T, machine string) session.Table {
	started, err := startProcess(t,
		exec.Command(os.Args[0], processArgument, etcdtest.Endpoint(), p.prefix, machine))
	if err != nil {
		t.Fatal(err)
	}
	p.running = append(p.running, started)
	return started
}

// startProcess starts a process that serves a table, and ends it with the test.
func startProcess(t *testing.T, command *exec.Cmd) (*process, error) {
	command.Stderr = t.Output()
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &process{
		command: command,
		client:  rpc.NewClient(pipes{ReadCloser: out, WriteCloser: in}),
	}
	started.told = sync.NewCond(&started.mu)
	t.Cleanup(started.kill)
	go started.listen()
	return started, nil
}

// pipes are both ends that a process reads and writes.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

// process is the table of another process.
type process struct {
	command *exec.Cmd
	client  *rpc.Client
	once    sync.Once

	mu       sync.Mutex
	told     *sync.Cond
	events   int // that the watchers were notified of
	ended    bool
	watchers []session.Watcher
}

func (p *process) kill() {
	p.once.Do(func() {
		p.command.Process.Kill()
		p.command.Wait()
		p.client.Close()
	})
}

// listen notifies the watchers of what the process is notified of.
func (p *process) listen() {
	for heard := 0; ; {
		var events []Event
		err := p.client.Call("Machine.Events", heard, &events)
		heard += len(events)
		p.mu.Lock()
		for _, event := range events {
			for _, watcher := range p.watchers {
				event.tell(watcher)
			}
		}
		p.events, p.ended = heard, err != nil
		p.told.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// call asks the process, and waits until the watchers know what it knows.
func (p *process) call(ctx context.Context, call Call) (Answer, error) {
	call.Ended = ctx.Err() != nil
	var answer Answer
	if err := p.client.Call("Machine.Call", call, &answer); err != nil {
		return Answer{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.events < answer.Events && !p.ended {
		p.told.Wait()
	}
	for _, known := range answers {
		if known.Error() == answer.Error {
			return answer, known
		}
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// answers are the errors that callers tell apart.
var answers = []error{
	session.ErrUnknown, session.ErrUsed, session.ErrExpired, session.ErrTaken, context.Canceled,
}

func (p *process) Insert(ctx context.Context, row session.Row) error {
	_, err := p.call(ctx, Call{Method: "Insert", Row: row})
	return err
}

func (p *process) ByState(ctx context.Context, owner session.Owner, hash []byte) (session.Row, error) {
	answer, err := p.call(ctx, Call{Method: "ByState", Owner: owner, Hash: hash})
	return answer.Row, err
}

func (p *process) Consume(
	ctx context.Context, owner session.Owner, hash []byte, now time.Time,
) (session.Row, error) {
	answer, err := p.call(ctx, Call{Method: "Consume", Owner: owner, Hash: hash, Now: now})
	return answer.Row, err
}

func (p *process) Complete(ctx context.Context, id string, sealed []byte, now time.Time) (bool, error) {
	answer, err := p.call(ctx, Call{Method: "Complete", ID: id, Sealed: sealed, Now: now})
	return answer.Done, err
}

func (p *process) Fail(
	ctx context.Context, id string, failure session.Failure, now time.Time,
) (bool, error) {
	answer, err := p.call(ctx, Call{Method: "Fail", ID: id, Failure: failure, Now: now})
	return answer.Done, err
}

func (p *process) Expire(ctx context.Context, id string, now time.Time) (bool, error) {
	answer, err := p.call(ctx, Call{Method: "Expire", ID: id, Now: now})
	return answer.Done, err
}

func (p *process) Cancel(
	ctx context.Context, id string, failure session.Failure, now time.Time,
) (bool, error) {
	answer, err := p.call(ctx, Call{Method: "Cancel", ID: id, Failure: failure, Now: now})
	return answer.Done, err
}

func (p *process) TakeClaim(
	ctx context.Context, owner session.Owner, hash []byte, now time.Time,
) (session.Hold, error) {
	answer, err := p.call(ctx, Call{Method: "TakeClaim", Owner: owner, Hash: hash, Now: now})
	return answer.Hold, err
}

func (p *process) Ack(ctx context.Context, hold session.Hold, now time.Time) error {
	_, err := p.call(ctx, Call{Method: "Ack", Hold: hold, Now: now})
	return err
}

func (p *process) Keep(ctx context.Context, hold session.Hold, now time.Time) error {
	_, err := p.call(ctx, Call{Method: "Keep", Hold: hold, Now: now})
	return err
}

func (p *process) Release(ctx context.Context, hold session.Hold) error {
	_, err := p.call(ctx, Call{Method: "Release", Hold: hold})
	return err
}

func (p *process) Resume(ctx context.Context, interrupted session.Failure, now time.Time) error {
	_, err := p.call(ctx, Call{Method: "Resume", Failure: interrupted, Now: now})
	return err
}

func (p *process) Sweep(ctx context.Context, now, before time.Time) (session.Swept, error) {
	answer, err := p.call(ctx, Call{Method: "Sweep", Now: now, Before: before})
	return answer.Swept, err
}

func (p *process) Watch(watcher session.Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers = append(p.watchers, watcher)
}

// Call is a call of a method of a table.
type Call struct {
	Method      string
	Ended       bool // the context has ended
	Row         session.Row
	Owner       session.Owner
	Hash        []byte
	ID          string
	Sealed      []byte
	Failure     session.Failure
	Hold        session.Hold
	Now, Before time.Time
}

// Answer is what the method has returned.
type Answer struct {
	Row    session.Row
	Done   bool
	Hold   session.Hold
	Swept  session.Swept
	Error  string
	Events int // how many the watcher has been notified of
}

// Event is what a watcher is notified of.
type Event struct {
	Pending *session.Row
	Woken   string
	Ended   *session.Outcome
}

func (e Event) tell(watcher session.Watcher) {
	switch {
	case e.Pending != nil:
		watcher.Pending(*e.Pending)
	case e.Ended != nil:
		watcher.Ended(*e.Ended)
	default:
		watcher.Woken(e.Woken)
	}
}

// processArgument makes the program of the tests a process of [processes].
const processArgument = "-machine"

// runProcess is one machine: it does what it reads until it is killed.
func runProcess(endpoint, prefix, machine string) error {
	client, err := etcdtest.Dial(endpoint, prefix)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	return serveTable(New(client, Options{Machine: machine, Log: log}), nil)
}

// memberArgument makes the program of the tests a machine of a [threeMachines].
const memberArgument = "-member"

// runMember is a machine of a cluster. It does what it reads until it is killed.
func runMember(name, list, folder string) error {
	machines, err := cluster.ParseMachines(list)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	member, err := cluster.Start(context.Background(), cluster.Config{
		Name:     name,
		Machines: machines,
		Secret:   strings.Repeat("s", 32),
		Folder:   folder,
		Log:      log,
	})
	if err != nil {
		return err
	}
	return serveTable(New(member.Client(), Options{Machine: name, Log: log}), member)
}

// serveTable does with a table what it reads. Member may be nil.
func serveTable(table *Table, member *cluster.Member) error {
	m := &Machine{table: table, member: member}
	m.grown = sync.NewCond(&m.mu)
	m.table.Watch(m)
	server := rpc.NewServer()
	if err := server.Register(m); err != nil {
		return err
	}
	server.ServeConn(pipes{ReadCloser: os.Stdin, WriteCloser: os.Stdout})
	return nil
}

// Machine serves a table to the process that has started this one.
type Machine struct {
	table  *Table
	member *cluster.Member

	mu     sync.Mutex
	grown  *sync.Cond
	events []Event
}

func (m *Machine) add(event Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, event)
	m.grown.Broadcast()
}

func (m *Machine) Pending(row session.Row)       { m.add(Event{Pending: &row}) }
func (m *Machine) Woken(id string)               { m.add(Event{Woken: id}) }
func (m *Machine) Ended(outcome session.Outcome) { m.add(Event{Ended: &outcome}) }

// Events returns what comes after the first events that were heard. It waits for it.
func (m *Machine) Events(heard int, events *[]Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.events) == heard {
		m.grown.Wait()
	}
	*events = m.events[heard:]
	return nil
}

// Leader returns the name of the machine that leads.
func (m *Machine) Leader(_ int, name *string) error {
	*name = m.member.Leader()
	return nil
}

// Stop ends the machine, as a signal does.
func (m *Machine) Stop(int, *int) error {
	m.table.Close()
	m.member.Stop()
	return nil
}

// Call calls a method of the table.
func (m *Machine) Call(call Call, answer *Answer) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if call.Ended {
		cancel()
	}
	switch call.Method {
	case "Insert":
		err = m.table.Insert(ctx, call.Row)
	case "ByState":
		answer.Row, err = m.table.ByState(ctx, call.Owner, call.Hash)
	case "Consume":
		answer.Row, err = m.table.Consume(ctx, call.Owner, call.Hash, call.Now)
	case "Complete":
		answer.Done, err = m.table.Complete(ctx, call.ID, call.Sealed, call.Now)
	case "Fail":
		answer.Done, err = m.table.Fail(ctx, call.ID, call.Failure, call.Now)
	case "Expire":
		answer.Done, err = m.table.Expire(ctx, call.ID, call.Now)
	case "Cancel":
		answer.Done, err = m.table.Cancel(ctx, call.ID, call.Failure, call.Now)
	case "TakeClaim":
		answer.Hold, err = m.table.TakeClaim(ctx, call.Owner, call.Hash, call.Now)
	case "Ack":
		err = m.table.Ack(ctx, call.Hold, call.Now)
	case "Keep":
		err = m.table.Keep(ctx, call.Hold, call.Now)
	case "Release":
		err = m.table.Release(ctx, call.Hold)
	case "Resume":
		err = m.table.Resume(ctx, call.Failure, call.Now)
	case "Sweep":
		answer.Swept, err = m.table.Sweep(ctx, call.Now, call.Before)
	}
	m.mu.Lock()
	answer.Events = len(m.events)
	m.mu.Unlock()
	if err != nil {
		answer.Error = err.Error()
	}
	return nil
}

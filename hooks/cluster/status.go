package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Status is the cluster as one of its machines knows it.
type Status struct {
	// Time is when that was, by its clock.
	Time time.Time
	// Cluster is etcd's id of the cluster, which another one does not have.
	Cluster string
	// Leader is the name of the machine that leads. It is empty if most of them cannot be reached.
	Leader string
	// Problem says why this machine takes no requests. It is empty if it does.
	Problem string
	// Machines are all of them, sorted by name.
	Machines []Machine
}

// View is what can be known of a cluster at one of its machines.
type View struct {
	// Status is nil if the service does not run there, or does not take part yet.
	Status *Status
	// Answers has what the other machines say, by their names, and what this one says if there is no status
	// and it says something.
	Answers map[string]Answer
}

// Answer is what a machine says at the moment.
type Answer struct {
	// TakesPart says that it is a member of the cluster: of the one of the status, if there is one.
	TakesPart bool
	// Waits says that it runs, has no data, and waits to become a member.
	Waits bool
	// Err says why it is neither, in words for the admin.
	Err error
}

// statusName is the name of the file in the cluster's folder with the status, for commands that are run
// beside the service. It has no secrets.
const statusName = "status.json"

const (
	// lookEvery is how often the status is looked at; what is news is noted at once, and all else
	// sometimes.
	lookEvery, noteEvery = time.Second, 5 * time.Second
	// statusLife is how old a status gets that counts.
	statusLife = 3 * noteEvery
)

// Status returns the cluster as this machine knows it now.
func (r *Roster) Status() *Status {
	status := &Status{
		Time:     r.options.now(),
		Cluster:  r.member.clusterID(),
		Leader:   r.member.Leader(),
		Machines: r.Machines(),
	}
	if err := r.member.Check(); err != nil {
		status.Problem = err.Error()
	}
	return status
}

// View returns the status, and asks the other machines.
func (r *Roster) View(ctx context.Context) View { return r.member.ask.view(ctx, r.Status()) }

// Look returns what is known of a cluster at this machine, for a process that is no member: it reads what the
// service here has noted, and asks the machines. It fails if they cannot be found.
func Look(ctx context.Context, config Config) (View, error) {
	if err := config.Check(); err != nil {
		return View{}, err
	}
	identity, err := newIdentity(config.Secret, "")
	if err != nil {
		return View{}, err
	}
	status, err := readStatus(config.Folder, time.Now())
	if err != nil {
		return View{}, err
	}
	view := newAsker(config.finding(), identity).view(ctx, status)
	if answer, isLost := view.Answers[nobody]; isLost {
		return View{}, answer.Err
	}
	return view, nil
}

func (a *asker) view(ctx context.Context, status *Status) View {
	view := View{Status: status, Answers: map[string]Answer{}}
	answers := a.all(ctx)
	if status == nil {
		if own := a.ask(ctx, a.config.Name); own.err == nil {
			answers[a.config.Name] = own
		}
	}
	for name, said := range answers {
		view.Answers[name] = said.public(name, status)
	}
	return view
}

// public returns the answer for those who do not know etcd.
func (said answer) public(name string, status *Status) Answer {
	switch {
	case said.blank != nil:
		return Answer{Waits: true}
	case said.running == nil:
		return Answer{Err: said.err}
	case status != nil && said.running.clusterID != status.Cluster:
		return Answer{Err: errors.New(name + " has the data of another cluster")}
	default:
		return Answer{TakesPart: true}
	}
}

// note keeps the file with the status up to date until the context ends, and then removes it.
func (r *Roster) note(ctx context.Context) {
	path := filepath.Join(r.member.config.Folder, statusName)
	defer os.Remove(path)
	every := time.NewTicker(min(lookEvery, r.options.every))
	defer every.Stop()
	var noted Status
	for {
		status := r.Status()
		isNews := status.Leader != noted.Leader || status.Problem != noted.Problem
		if isNews || status.Time.Sub(noted.Time).Abs() >= min(noteEvery, r.options.every) {
			// One that cannot be written gets old, and so says that something is wrong.
			_ = writeStatus(path, status)
			noted = *status
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

func writeStatus(path string, status *Status) error {
	content, err := json.Marshal(status)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readStatus returns the status in a cluster's folder, or nil if there is none that counts.
func readStatus(folder string, now time.Time) (*Status, error) {
	content, err := os.ReadFile(filepath.Join(folder, statusName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	status := &Status{}
	if err == nil {
		err = json.Unmarshal(content, status)
	}
	if err != nil {
		return nil, err
	}
	if now.Sub(status.Time).Abs() > statusLife {
		return nil, nil // the service was killed, or hangs
	}
	return status, nil
}

package hooks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/replica"
)

// resetPrefix is how the folders begin in which the part of a cluster is kept that a reset has given up.
const resetPrefix = "before-reset-"

// reset makes a machine one that begins a new cluster, with the plugins and admins of its SQLite, and with
// the logins that were under way in the old one.
type reset struct {
	folder   string
	settings cluster.Config
	now      time.Time
}

// run gives up this machine's part in its cluster, if that is confirmed, and returns what to tell the admin.
func (r reset) run(ctx context.Context, confirmed bool) (said string, err error) {
	database := filepath.Join(r.folder, databaseName)
	if _, err := os.Stat(database); err != nil {
		return "", noDatabase(r.folder)
	}
	lock, err := takeFolder(r.folder)
	if err != nil {
		return "", err
	}
	if lock != nil {
		defer lock.Close()
	}
	content, err := checkDatabase(ctx, database)
	if err != nil {
		return "", fmt.Errorf("the database of this machine is not good, so nothing was changed: %w", err)
	}
	if err := r.refuseIfNeedless(ctx); err != nil {
		return "", err
	}
	has := plural(content.plugins, "plugin") + " and " + plural(content.admins, "admin")
	if !confirmed {
		return fmt.Sprintf("This makes a new cluster, with the %s of this machine, and the logins\nthat are "+
				"under way as far as it knows them. What the other machines have is lost:\nchoose the one "+
				"whose data are the newest.\n", has),
			errors.New("nothing was changed; run plugin-oauth cluster reset --yes to do it")
	}
	said, err = r.takeSessions(ctx, database)
	if err != nil {
		return "", err
	}
	aside, err := r.leave(database)
	if err != nil {
		return "", err
	}
	return r.advice(has, said, aside), nil
}

// refuseIfNeedless fails if most of the machines have their data: then they are the cluster, and fill this
// one.
func (r reset) refuseIfNeedless(ctx context.Context) error {
	run, err := othersThatRun(ctx, r.settings)
	if err != nil || len(run) <= r.settings.Size()/2 {
		return err
	}
	return fmt.Errorf("%s run, and have the data of the cluster, so it goes on without this machine: start "+
		"the service here, and it takes part again. To make a new cluster all the same, stop them first",
		strings.Join(run, " and "))
}

// othersThatRun returns the names of the other machines that are members at the moment.
func othersThatRun(ctx context.Context, settings cluster.Config) (run []string, err error) {
	view, err := cluster.Look(ctx, settings)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(view.Answers)) {
		if name != settings.Name && view.Answers[name].TakesPart {
			run = append(run, name)
		}
	}
	return run, nil
}

// takeSessions stores in the database what was under way in the cluster, and says what has become of it. When
// the machine comes first in the next cluster, it brings that as well. If it cannot be read, it is lost: a
// reset is for the day when disks are.
func (r reset) takeSessions(ctx context.Context, database string) (said string, err error) {
	db, err := openFile(database)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	remains, err := cluster.OpenRemains(ctx, r.settings.Folder)
	if errors.Is(err, cluster.ErrNoRemains) {
		return "", nil
	}
	var brought broughtAlong
	if err == nil {
		brought, err = takeSessionsAlong(ctx, remains, db, r.now)
		err = errors.Join(err, remains.Close())
	}
	if err != nil {
		return "The logins that were under way are lost: " + err.Error() + ".\n", nil
	}
	said = plural(brought.underWay, "login") + " under way there can go on.\n"
	if brought.ended > 0 {
		said += "Another machine may have given the tokens of " + plural(brought.ended, "login") +
			", so these are not given: people start again.\n"
	}
	return said, nil
}

// leave moves this machine's part in its cluster aside, and makes the machine the first of the next one. It
// returns the folder with what was moved, or "" if there was nothing.
func (r reset) leave(database string) (aside string, err error) {
	db, err := openFile(database)
	if err != nil {
		return "", err
	}
	err = errors.Join(replica.ComeFirst(db), db.Close())
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(r.settings.Folder); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	aside = filepath.Join(r.folder, resetPrefix+r.now.UTC().Format("20060102-150405"))
	if err := os.Mkdir(aside, 0o700); err != nil {
		return "", err
	}
	return aside, os.Rename(r.settings.Folder, filepath.Join(aside, clusterName))
}

// advice says what was done, and what is to be done on the other machines.
func (r reset) advice(has, sessions, aside string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s begins a new cluster, with its %s.\n%s", r.settings.Name, has, sessions)
	fmt.Fprintln(&b, onTheOthers(r.settings))
	if aside != "" {
		fmt.Fprintf(&b, "What was there of the old cluster is in %s. Delete it once all is well.\n", aside)
	}
	return b.String()
}

// onTheOthers says what is to be done there, before a new cluster is made of what this machine has.
func onTheOthers(settings cluster.Config) string {
	others := "the other machines"
	if settings.Find == nil {
		others = strings.Join(slices.DeleteFunc(slices.Sorted(maps.Keys(settings.Machines)),
			func(name string) bool { return name == settings.Name }), " and ")
	}
	return "On " + others + ": stop the service, and empty its data folder, if there is anything in it.\n" +
		"Then start the service on all machines. They wait for each other, and get what is here."
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"plugin-oauth/hooks/session"
)

const (
	// sweepTime is long enough for one of the sweeps, which come once a minute.
	sweepTime = 70 * time.Second

	// rowNetworks is how many networks start the logins that fill the table: in ten minutes, 24,000, which is
	// less than may be under way.
	rowNetworks = 40
)

// denied is what becomes of a login whose person declined.
var denied = session.Failure{
	Status:      session.StatusDenied,
	Code:        "access_denied",
	Description: "The sign-in was declined.",
	Cause:       "the provider answered access_denied",
}

// fullTable besieges a service whose table of sessions has as many rows of each kind as are kept, and more
// that are to go, while it sweeps them.
func (s *siege) fullTable() error {
	dir, err := os.MkdirTemp(s.dir, "rows")
	if err != nil {
		return err
	}
	if err := s.fillTable(filepath.Join(dir, dataFolder)); err != nil {
		return err
	}
	service, err := s.startIn(dir)
	if err != nil {
		return err
	}
	defer service.stop()
	s.crowdIn(service, sweepTime, heldPoll(0)(service), startsAgain(service))
	return nil
}

// fillTable has logins of the last two hours in a new data folder.
func (s *siege) fillTable(dataDir string) (err error) {
	phases := []struct {
		failure *session.Failure
		minutes int
	}{
		{failure: &denied, minutes: 25},   // 60,000, of which 50,000 are kept
		{failure: &junkCode, minutes: 25}, // as many
		{minutes: 60},                     // 144,000: 24,000 are under way at the end, and 100,000 are kept
	}
	table := &simulation{dir: dataDir, began: time.Now()}
	for _, phase := range phases {
		table.began = table.began.Add(-time.Duration(phase.minutes) * time.Minute)
	}
	if err := table.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, table.app.ClearBootstrap()) }()
	for _, phase := range phases {
		s.progress("rows: %s with %d logins", table.elapsed(), table.logins)
		table.failure = phase.failure
		for range phase.minutes {
			if err := table.minute(context.Background(), rowNetworks); err != nil {
				return err
			}
		}
	}
	size, err := sizeOf(dataDir)
	if err != nil {
		return err
	}
	s.report.add(row{
		name:   "the folder with all rows that are kept",
		figure: &size,
		unit:   "MB",
		bound:  atMost(folderSize),
		note:   fmt.Sprintf("%d logins in %s", table.logins, table.elapsed()),
	})
	return nil
}

// startsAgain starts a login as soon as it has started one.
func startsAgain(*server) kind {
	return kind{
		name: "starts that come again at once",
		begin: func(i int) (string, error) {
			return head("/authorize", i) + siegeOrigin + "\r\nContent-Length: 0\r\n\r\n", nil
		},
		hurried: true,
		most:    300,
	}
}

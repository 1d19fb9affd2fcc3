package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"plugin-oauth/hooks/session/sqlite"
)

const (
	// paddedGrowth is what may be added to the data folder for each 10,000 requests, in MB. It is for the
	// lines about faults.
	paddedGrowth = 1

	// loggedEachMinute bounds the lines about faults and refused refreshes.
	loggedEachMinute = 500

	// logSize is the most that auxiliary.db may take, in MB with its write-ahead log.
	logSize = 50
)

// disk sends what may leave something on the disk, though nobody has signed in.
func (s *siege) disk() error {
	service, err := s.start()
	if err != nil {
		return err
	}
	defer service.stop()
	// SQLite's write-ahead logs grow to their usual size first.
	service.flood(s.requests/4, paddedQuery)
	before, err := service.settledSize()
	if err != nil {
		return err
	}
	s.progress("disk: %d padded requests", s.requests)
	sent, answers := service.flood(s.requests, paddedQuery)
	after, err := service.settledSize()
	if err != nil {
		return err
	}
	growth := (after - before) * 10_000 / float64(sent)
	s.report.add(row{
		name:   "growth of the folder for 10,000 padded requests",
		figure: &growth,
		unit:   "MB",
		bound:  atMost(paddedGrowth),
		note:   answers.String(),
	})
	return s.faults(service)
}

// paddedQuery is a request to one of all kinds of addresses, as long as the service lets it be.
func paddedQuery(i int) query {
	padding := strings.Repeat("a", 3000)
	targets := []struct{ method, target, json string }{
		{method: http.MethodGet, target: "/?" + padding},
		{method: http.MethodGet, target: "/" + padding},
		{method: http.MethodGet, target: "/" + padding + "/redirect?state=a&code=b"},
		{method: http.MethodDelete, target: "/poll?readKey=" + padding},
		{method: http.MethodPost, target: "/poll?readKey=" + padding},
		{method: http.MethodOptions, target: "/authorize?" + padding},
		{method: http.MethodGet, target: "/redirect?code=" + padding + "&state=" + padding},
		{method: http.MethodGet, target: "/redirect?error=access_denied&error_description=" + padding},
		{method: http.MethodPost, target: "/redirect?" + padding, json: `{"choice":"continue","state":"a"}`},
		{method: http.MethodPost, target: fmt.Sprintf("/refresh?code=%s-%d-%s", junkToken, i, padding)},
		{method: http.MethodPost, target: "/revoke?token=" + padding},
		{method: http.MethodGet, target: "/client.js?" + padding},
		{method: http.MethodGet, target: "/favicon.ico?" + padding},
		{method: http.MethodGet, target: "/_/" + padding},
		{method: http.MethodGet, target: "/api/health?" + padding},
		{method: http.MethodGet, target: "/api/" + padding},
		{method: http.MethodGet, target: "/api/collections/sessions/records?filter=" + padding},
		{
			method: http.MethodPost,
			target: "/api/collections/plugins/records",
			json:   `{"slug":"` + padding + `"}`,
		},
		{
			method: http.MethodPost,
			target: "/api/collections/_superusers/auth-with-password?" + padding,
			json:   `{"identity":"nobody@plugin.example","password":"` + padding + `"}`,
		},
	}
	one := targets[i%len(targets)]
	return query{
		method:  one.method,
		target:  one.target,
		json:    one.json,
		network: besieger(i),
		padding: padding,
	}
}

// faults has the service fail, and the provider refuse, and counts what that leaves in the log.
func (s *siege) faults(service *server) error {
	s.progress("disk: %d refreshes that fail", s.requests)
	began := time.Now()
	causes := []string{junkToken, faultToken, pageToken}
	_, answers := service.flood(s.requests, func(i int) query {
		target := fmt.Sprintf("/refresh?code=%s-%d", causes[i%len(causes)], i)
		return query{method: http.MethodPost, target: target, network: besieger(i)}
	})
	for i := range s.requests / 20 {
		started, err := service.begin(besieger(i))
		if err != nil {
			return err
		}
		page, err := service.redirect(started, causes[i%len(causes)])
		if err != nil {
			return err
		}
		answers.add(fmt.Sprintf("redirect %d", page.status))
	}
	minutes := int(time.Since(began)/time.Minute) + 1
	if _, err := service.settledSize(); err != nil {
		return err
	}
	size, err := sizeOf(service.dataDir(), "auxiliary.db", "auxiliary.db-wal")
	if err != nil {
		return err
	}
	service.stop()
	logged, err := logRows(filepath.Join(service.dataDir(), "auxiliary.db"))
	if err != nil {
		return err
	}
	s.report.add(row{
		name:   "auxiliary.db after all that",
		figure: &size,
		unit:   "MB",
		bound:  atMost(logSize),
	})
	s.report.add(row{
		name:   "rows that faults and refused refreshes left in it",
		figure: count(logged),
		bound:  atMost(float64(loggedEachMinute * minutes)),
		note:   answers.String(),
	})
	return nil
}

// logRows counts the rows of PocketBase's log that tell of no request, of a service that has ended.
func logRows(path string) (rows int, err error) {
	if _, err := os.Stat(path); err != nil {
		return 0, err
	}
	db, err := sqlite.Connect(path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	err = db.NewQuery("SELECT count(*) FROM _logs WHERE data NOT LIKE '%\"type\":\"request\"%'").Row(&rows)
	return rows, err
}

// settledSize returns the size of the data folder in MB, once PocketBase has written its log, as it does
// every three seconds. The reserve does not count: the service makes it in its first minute, whatever anybody
// sends.
func (s *server) settledSize() (float64, error) {
	time.Sleep(4 * time.Second)
	all, err := sizeOf(s.dataDir())
	if err != nil {
		return 0, err
	}
	reserve, err := sizeOf(s.dataDir(), "reserve")
	return all - reserve, err
}

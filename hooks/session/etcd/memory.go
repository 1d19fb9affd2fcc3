package etcd

import (
	"slices"
	"sync"
	"time"

	"plugin-oauth/hooks/session"
)

// memory has the rows that can still give tokens, as this process knows them: from the watch, and from its
// own writes. It may be behind etcd, never ahead. So what it says is good for a transaction on the revision,
// and for a yes, and not for a no.
type memory struct {
	now func() time.Time

	mu       sync.Mutex
	byTime   map[string][]entry // by the time that their keys begin with
	listed   bool               // whether there was a list of all rows
	watched  int64              // the revision up to which the watch has told of everything
	learned  int64              // the latest revision at which a row has changed, as far as is known here
	watchers []session.Watcher
}

// find returns the row of a lookup.
func (m *memory) find(where lookup) (found entry, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := m.byTime[where.time()]
	i := slices.IndexFunc(rows, where.match)
	if i < 0 {
		return entry{}, false
	}
	return rows[i], true
}

// all returns the rows that match.
func (m *memory) all(match func(e entry) bool) (matching []entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rows := range m.byTime {
		for _, row := range rows {
			if match(row) {
				matching = append(matching, row)
			}
		}
	}
	return matching
}

// learn takes in a row that was read, or that this process has written, and returns it with the time since
// when this process knows of it. What the watch has told of already may have been deleted since.
func (m *memory) learn(e entry) entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learned = max(m.learned, e.revision)
	rows := m.byTime[e.time()]
	if i := slices.IndexFunc(rows, byID(e.id).match); i >= 0 {
		e = e.after(rows[i])
	}
	if e.revision > m.watched && m.put(e) {
		m.notify(e)
	}
	return e
}

// put takes in a row, and reports whether it is news. The caller holds the lock, also while it notifies the
// watchers: so they hear of the changes of a row in their order.
func (m *memory) put(e entry) (isNews bool) {
	rows := m.byTime[e.time()]
	i := slices.IndexFunc(rows, byID(e.id).match)
	if i >= 0 && rows[i].revision >= e.revision {
		return false
	}
	switch {
	case e.isOver() && i >= 0:
		m.drop(e.time(), i)
	case e.isOver():
	case i >= 0:
		rows[i] = e.after(rows[i])
	default:
		m.byTime[e.time()] = append(rows, e)
	}
	return true
}

// drop forgets a row. The caller holds the lock.
func (m *memory) drop(time string, i int) {
	if rows := slices.Delete(m.byTime[time], i, i+1); len(rows) > 0 {
		m.byTime[time] = rows
	} else {
		delete(m.byTime, time)
	}
}

// notify tells the watchers of a row. The caller holds the lock.
func (m *memory) notify(e entry) {
	for _, watcher := range m.watchers {
		switch {
		case e.Status != session.StatusPending:
			watcher.Woken(e.id)
		case milliseconds(m.now()) < e.Expires:
			watcher.Pending(e.row())
		}
	}
}

// event takes in what the watch tells: a row, or that there is none of this id any more. Call watchedUntil
// after the last event of a revision.
func (m *memory) event(e entry, deleted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learned = max(m.learned, e.revision)
	if !deleted {
		if m.put(e) {
			m.notify(e)
		}
		return
	}
	rows := m.byTime[e.time()]
	if i := slices.IndexFunc(rows, byID(e.id).match); i >= 0 && rows[i].revision < e.revision {
		m.drop(e.time(), i)
	}
	m.wake(e.id)
}

// wake says that a login is no longer pending. The caller holds the lock.
func (m *memory) wake(id string) {
	for _, watcher := range m.watchers {
		watcher.Woken(id)
	}
}

// watchedUntil notes that the watch has told of everything up to a revision.
func (m *memory) watchedUntil(revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watched = max(m.watched, revision)
}

// replace takes in a list of all rows as they were at a revision. What is missing in it was deleted, unless
// it is newer than the list. The watchers are not notified of an exchange in the first list: this machine may
// have been killed in the middle of it, and says so before anybody waits for it.
func (m *memory) replace(listed []entry, revision int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	there := make(map[string]bool, len(listed))
	for _, e := range listed {
		there[e.id] = true
		m.learned = max(m.learned, e.revision)
		if m.put(e) && (m.listed || !e.isBeingExchanged()) {
			m.notify(e)
		}
	}
	for time, rows := range m.byTime {
		for i := len(rows) - 1; i >= 0; i-- {
			if gone := rows[i]; !there[gone.id] && gone.revision <= revision {
				m.drop(time, i)
				m.wake(gone.id)
			}
		}
	}
	m.listed = true
	m.watched = max(m.watched, revision)
}

// replay notifies the watchers of every row that is pending and has not expired.
func (m *memory) replay(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rows := range m.byTime {
		for _, e := range rows {
			if e.Status != session.StatusPending || milliseconds(now) >= e.Expires {
				continue
			}
			for _, watcher := range m.watchers {
				watcher.Pending(e.row())
			}
		}
	}
}

func (m *memory) watch(watcher session.Watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers = append(m.watchers, watcher)
}

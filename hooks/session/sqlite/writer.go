package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"runtime"
	"slices"
	"sync"
)

// writer executes the writes of sessions. Those that arrive while the database is busy share the next
// transaction, which costs little more than one of them alone. Each is committed before its caller goes on.
type writer struct {
	db *sql.DB

	mu    sync.Mutex
	busy  bool // whether work is running
	queue []*queuedWrite
}

// queuedWrite is one prepared statement with its arguments.
type queuedWrite struct {
	statement *sql.Stmt
	args      []any
	// first says that it goes before all that wait.
	first bool
	// read reads the rows of the RETURNING clause, and may be called again. If it is nil, there is no such
	// clause.
	read    func(*sql.Rows) error
	changed int64 // the rows that it changed, without RETURNING
	err     error
	done    chan struct{}
}

// maxBatch bounds a transaction, and so the time that others wait for the database.
const maxBatch = 64

// exec executes a statement and returns the number of rows that it changed.
func (w *writer) exec(ctx context.Context, statement *sql.Stmt, args ...any) (changed int64, err error) {
	write := &queuedWrite{statement: statement, args: args}
	err = w.submit(ctx, write)
	return write.changed, err
}

// query executes a statement with a RETURNING clause, and calls read for its rows. If the first try is rolled
// back, it calls read again.
func (w *writer) query(
	ctx context.Context, statement *sql.Stmt, args []any, read func(*sql.Rows) error,
) error {
	return w.submit(ctx, &queuedWrite{statement: statement, args: args, read: read})
}

// queryFirst is query for a statement that goes before all that wait. One that removes rows must keep up with
// those that make them, however many these are.
func (w *writer) queryFirst(
	ctx context.Context, statement *sql.Stmt, args []any, read func(*sql.Rows) error,
) error {
	return w.submit(ctx, &queuedWrite{statement: statement, args: args, first: true, read: read})
}

// queryRow executes a statement that changes one row at most. It fails with sql.ErrNoRows if it changed none.
func (w *writer) queryRow(ctx context.Context, statement *sql.Stmt, args, returning []any) error {
	return w.query(ctx, statement, args, oneRow(returning...))
}

// oneRow reads the first row. It fails with sql.ErrNoRows if there is none.
func oneRow(columns ...any) func(*sql.Rows) error {
	return func(rows *sql.Rows) error {
		if !rows.Next() {
			return cmp.Or(rows.Err(), sql.ErrNoRows)
		}
		return rows.Scan(columns...)
	}
}

// submit queues a write and waits for its outcome. If the context has ended, the write is not queued. Once it
// is queued, the context no longer matters: the caller must learn what became of the write.
func (w *writer) submit(ctx context.Context, write *queuedWrite) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	write.done = make(chan struct{})
	w.mu.Lock()
	if write.first {
		w.queue = slices.Insert(w.queue, 0, write)
	} else {
		w.queue = append(w.queue, write)
	}
	if !w.busy {
		w.busy = true
		go w.work()
	}
	w.mu.Unlock()
	<-write.done
	return write.err
}

func (w *writer) work() {
	for {
		runtime.Gosched() // whoever is about to write may join
		w.mu.Lock()
		batch := w.queue[:min(len(w.queue), maxBatch)]
		if w.queue = w.queue[len(batch):]; len(w.queue) == 0 {
			w.queue = nil // otherwise it would keep what was written in memory
		}
		w.busy = len(batch) > 0
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		w.commit(batch)
		for _, write := range batch {
			close(write.done)
		}
	}
}

// commit executes a batch in one transaction. If one of the writes fails, SQLite may have rolled all of them
// back, so each is executed alone.
func (w *writer) commit(batch []*queuedWrite) {
	if len(batch) == 1 {
		batch[0].execute(batch[0].statement)
		return
	}
	err := w.transact(batch)
	if err == nil {
		return
	}
	if resultCode(err) == codeBusy {
		// Another process has held the database for as long as we wait. Waiting as long for each write would
		// be too much.
		for _, write := range batch {
			write.err = err
		}
		return
	}
	for _, write := range batch {
		write.execute(write.statement)
	}
}

func (w *writer) transact(batch []*queuedWrite) error {
	tx, err := w.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once it is committed
	for _, write := range batch {
		if write.execute(tx.Stmt(write.statement)); write.err != nil && !errors.Is(write.err, sql.ErrNoRows) {
			return write.err
		}
	}
	return tx.Commit()
}

func (write *queuedWrite) execute(statement *sql.Stmt) {
	if write.read != nil {
		write.err = write.run(statement)
		return
	}
	result, err := statement.Exec(write.args...)
	if err == nil {
		write.changed, err = result.RowsAffected()
	}
	write.err = err
}

func (write *queuedWrite) run(statement *sql.Stmt) error {
	rows, err := statement.Query(write.args...)
	if err != nil {
		return err
	}
	return errors.Join(write.read(rows), rows.Close(), rows.Err())
}

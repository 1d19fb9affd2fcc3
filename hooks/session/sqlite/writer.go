package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync"
)

// writer carries out the writes of sessions. Those that arrive while the database is busy share the next
// transaction, which costs little more than one of them alone. Each is committed before its caller goes on.
type writer struct {
	db *sql.DB

	mu    sync.Mutex
	busy  bool // whether work is running
	queue []*write
}

// write is one prepared statement with its arguments.
type write struct {
	statement *sql.Stmt
	args      []any
	// read reads what the RETURNING clause gives, and may be called again. If it is nil, there is none.
	read    func(*sql.Rows) error
	changed int64 // the rows that it changed, without RETURNING
	err     error
	done    chan struct{}
}

// maxBatch bounds a transaction, and so the time that others wait for the database.
const maxBatch = 64

// exec executes a statement and returns the number of rows that it changed.
func (w *writer) exec(ctx context.Context, statement *sql.Stmt, args ...any) (changed int64, err error) {
	one := &write{statement: statement, args: args}
	err = w.submit(ctx, one)
	return one.changed, err
}

// query executes a statement with a RETURNING clause, and has its rows read. If the first try is rolled back,
// they are read anew.
func (w *writer) query(
	ctx context.Context, statement *sql.Stmt, args []any, read func(*sql.Rows) error,
) error {
	return w.submit(ctx, &write{statement: statement, args: args, read: read})
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

// submit queues a write and awaits its outcome. A context that has ended keeps it out of the queue.
// Afterwards it changes nothing: the caller must know what became of the write.
func (w *writer) submit(ctx context.Context, one *write) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	one.done = make(chan struct{})
	w.mu.Lock()
	w.queue = append(w.queue, one)
	if !w.busy {
		w.busy = true
		go w.work()
	}
	w.mu.Unlock()
	<-one.done
	return one.err
}

func (w *writer) work() {
	for {
		runtime.Gosched() // whoever is about to write may join
		w.mu.Lock()
		batch := w.queue[:min(len(w.queue), maxBatch)]
		if w.queue = w.queue[len(batch):]; len(w.queue) == 0 {
			w.queue = nil // else it would hold on to what was written
		}
		w.busy = len(batch) > 0
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		w.commit(batch)
		for _, one := range batch {
			close(one.done)
		}
	}
}

// commit carries out a batch in one transaction. If one of the writes fails, the others must not suffer:
// SQLite may have rolled all of them back, so each is done alone.
func (w *writer) commit(batch []*write) {
	if len(batch) == 1 {
		batch[0].execute(batch[0].statement)
		return
	}
	err := w.transact(batch)
	if err == nil {
		return
	}
	if resultCode(err) == codeBusy {
		// Another process has held the database for as long as we wait. Nobody is to wait so for each write.
		for _, one := range batch {
			one.err = err
		}
		return
	}
	for _, one := range batch {
		one.execute(one.statement)
	}
}

func (w *writer) transact(batch []*write) error {
	tx, err := w.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once it is committed
	for _, one := range batch {
		if one.execute(tx.Stmt(one.statement)); one.err != nil && !errors.Is(one.err, sql.ErrNoRows) {
			return one.err
		}
	}
	return tx.Commit()
}

func (one *write) execute(statement *sql.Stmt) {
	if one.read != nil {
		one.err = one.query(statement)
		return
	}
	result, err := statement.Exec(one.args...)
	if err == nil {
		one.changed, err = result.RowsAffected()
	}
	one.err = err
}

func (one *write) query(statement *sql.Stmt) error {
	rows, err := statement.Query(one.args...)
	if err != nil {
		return err
	}
	return errors.Join(one.read(rows), rows.Close(), rows.Err())
}

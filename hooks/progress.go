package hooks

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// progress says how far something long has come.
type progress struct {
	out   io.Writer
	every time.Duration // what is done sooner is not spoken of
}

func newProgress(out io.Writer) *progress { return &progress{out: out, every: 2 * time.Second} }

// say names a step that cannot be measured.
func (p *progress) say(step string) { fmt.Fprintln(p.out, step+"…") }

// follow says from time to time how much of a step is done, until the function that it returns is called.
func (p *progress) follow(step string, total int64, done func() int64) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(p.every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				percent := min(100, 100*done()/max(1, total))
				fmt.Fprintf(p.out, "%s: %d %% of %s\n", step, percent, megabytes(total))
			case <-stopped:
				return
			}
		}
	}()
	return func() {
		close(stopped)
		<-ended
	}
}

// sizedReader is a reader that knows how much it has.
type sizedReader struct {
	io.Reader

	size int64
}

// copy copies until the end or until the context ends.
func (p *progress) copy(ctx context.Context, step string, to io.Writer, from sizedReader) error {
	counted := &countedWriter{ctx: ctx, to: to}
	defer p.follow(step, from.size, counted.written.Load)()
	_, err := io.Copy(counted, from.Reader)
	return err
}

// countedWriter counts what is written, and ends with its context.
type countedWriter struct {
	ctx     context.Context
	to      io.Writer
	written atomic.Int64
}

// Write implements [io.Writer].
func (w *countedWriter) Write(part []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.to.Write(part)
	w.written.Add(int64(n))
	return n, err
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20)) }

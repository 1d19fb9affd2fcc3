package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/net/websocket"
)

// bidiOrigin is the origin that the handshake names: a WebSocket of this library must have one.
const bidiOrigin = "http://localhost"

// bidi is a session of WebDriver BiDi. It is safe for concurrent use.
type bidi struct {
	socket *websocket.Conn

	mu      sync.Mutex
	last    int                    // the id of the last command
	waiting map[int]chan<- bidiEnd // who waits for the end of a command, by its id
	broken  error                  // why there is no connection any more

	focus sync.Mutex // a window that opens takes the focus from the one that keys are for
}

// bidiEnd is what becomes of a command. Without an id it is an event.
type bidiEnd struct {
	ID             *int
	Result         json.RawMessage
	Error, Message string // blank: it worked
}

// dialBiDi begins a session.
func dialBiDi(ctx context.Context, address string) (*bidi, error) {
	config, err := websocket.NewConfig(address, bidiOrigin)
	if err != nil {
		return nil, err
	}
	socket, err := config.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	socket.MaxPayloadBytes = 64 << 20 // screenshots are large
	b := &bidi{socket: socket, waiting: map[int]chan<- bidiEnd{}}
	go b.receive()
	return b, b.call(ctx, "session.new", map[string]any{"capabilities": map[string]any{
		"alwaysMatch": map[string]any{"acceptInsecureCerts": true},
	}}, nil)
}

// receive hands the ends of commands to those who wait, until the connection breaks.
func (b *bidi) receive() {
	for {
		var end bidiEnd
		err := websocket.JSON.Receive(b.socket, &end)
		b.mu.Lock()
		if err != nil {
			b.broken = fmt.Errorf("there is no connection to the browser: %w", err)
			for id, waits := range b.waiting {
				delete(b.waiting, id)
				close(waits)
			}
			b.mu.Unlock()
			return
		}
		if end.ID != nil && b.waiting[*end.ID] != nil {
			b.waiting[*end.ID] <- end
			delete(b.waiting, *end.ID)
		}
		b.mu.Unlock()
	}
}

// call sends a command, and reads its result unless that is nil.
func (b *bidi) call(ctx context.Context, method string, parameters map[string]any, result any) error {
	ended := make(chan bidiEnd, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	err := b.broken
	if err == nil {
		b.waiting[id] = ended
		deadline, _ := ctx.Deadline() // a browser that hangs reads nothing
		_ = b.socket.SetWriteDeadline(deadline)
		err = websocket.JSON.Send(b.socket, map[string]any{"id": id, "method": method, "params": parameters})
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting, id)
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case end, ok := <-ended:
		if !ok {
			return errors.New(method + ": the browser has ended")
		}
		if end.Error != "" {
			return fmt.Errorf("%s: %s: %s", method, end.Error, end.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(end.Result, result)
	}
}

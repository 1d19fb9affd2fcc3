package cluster

import (
	"context"
	"time"
)

// goodbyes is what the keys begin with by which machines say that they have ended, and do nothing more. A
// machine that was killed has said nothing. By these keys, one of which all others are gone knows whether
// they may have gone on without it: see [Remains.KnowsAll].
const goodbyes = "left/"

func (c Config) goodbyeKey() string { return goodbyes + c.Name }

// goodbyeTime bounds a try to say goodbye, or to take it back. The others may just be gone.
const goodbyeTime = time.Second

// sayGoodbye tells the others that this machine does nothing more.
func (m *Member) sayGoodbye() {
	if m.Check() != nil {
		return // nobody hears it
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyeTime)
	defer cancel()
	if _, err := m.client.Put(ctx, m.config.goodbyeKey(), ""); err != nil {
		m.config.Log.Info("the others do not know that this machine has ended", "cause", err.Error())
	}
}

// takeBackGoodbye says that this machine is back, before it does anything.
func (m *Member) takeBackGoodbye(ctx context.Context) error {
	for {
		once, cancel := context.WithTimeout(ctx, goodbyeTime)
		_, err := m.client.Delete(once, m.config.goodbyeKey())
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(goodbyeTime / 20): // the leader is a new one
		case <-m.Done():
			return m.stoppedBy(m.ask.all(ctx))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

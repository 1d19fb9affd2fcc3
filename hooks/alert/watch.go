// Package alert tells somebody once when a plugin begins to fail, and once when it works again. A [Watch]
// decides that from how requests to the plugin's provider end, and a [Sender] posts it to a chat.
//
//	sender := alert.NewSender(alert.SenderOptions{URL: address})
//	watch := alert.NewWatch(alert.WatchOptions{OnChange: func(c alert.Change) { sender.Send(…) }})
//	watch.Failed("notes", alert.ProviderDown, nil)
package alert

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// InARow is how many requests to a provider must fail, with no success between them, until the plugin fails:
// more than a handful.
const InARow = 6

// A plugin that fails again soon after it has recovered is not told of again before some time has passed
// since the last message about it: an hour, then two, then four, a day at the most. After a day without a
// message it begins with an hour again.
const minQuiet, maxQuiet = time.Hour, 24 * time.Hour

// Reason is why requests to a provider fail.
type Reason int

const (
	// ClientRefused says that the provider does not accept the client ID or the client secret.
	ClientRefused Reason = iota + 1
	// ProviderDown says that the provider gives no answer, or has faults of its own.
	ProviderDown
	// TokensRefused says that the provider refuses refresh tokens that it has issued to the plugin.
	TokensRefused
)

// Change is that a plugin has begun to fail, or works again.
type Change struct {
	// Plugin is the plugin's slug, which is blank at the root.
	Plugin string

	// Failing says whether it fails now.
	Failing bool

	// Reason is why the last request failed. It is zero for a plugin that works again.
	Reason Reason

	// Since is when the plugin began to fail.
	Since time.Time
}

// State is what is told of a plugin. It may be stored as JSON.
type State struct {
	// Since is when the plugin began to fail. It is zero if it works.
	Since time.Time `json:"since,omitzero"`

	// Told says that OnChange was told so.
	Told bool `json:"told,omitzero"`

	// Last is when OnChange was called last.
	Last time.Time `json:"last,omitzero"`

	// Quiet is how long after Last it is not told again that the plugin fails.
	Quiet time.Duration `json:"quiet,omitzero"`
}

// plugin is a State with what is not kept across a restart.
type plugin struct {
	State

	failures int      // in a row
	subjects []string // of these failures
}

// WatchOptions are the options of a [Watch].
type WatchOptions struct {
	// OnChange is called for each change that is to be told, one after another. It must not block, nor call
	// the watch.
	OnChange func(Change)

	// States are those of an earlier process, by their plugins.
	States map[string]State

	// Now is the clock. Nil means [time.Now].
	Now func() time.Time
}

// Watch follows how requests to the providers of all plugins end. It is safe for concurrent use.
type Watch struct {
	options WatchOptions

	mu      sync.Mutex
	plugins map[string]*plugin // that have failed since they worked last, or have a State
}

// NewWatch returns a watch.
func NewWatch(options WatchOptions) *Watch {
	if options.Now == nil {
		options.Now = time.Now
	}
	w := &Watch{options: options, plugins: map[string]*plugin{}}
	for slug, state := range options.States {
		p := &plugin{State: state}
		if !state.Since.IsZero() {
			p.failures = InARow // the next one is one more
		}
		w.plugins[slug] = p
	}
	return w
}

// Failed notes that a request for a plugin failed, in a way that only the plugin or its provider is to blame
// for. Of the failures in a row those with one subject, such as a hash of a token, count once. A blank one is
// none.
func (w *Watch) Failed(slug string, reason Reason, subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.plugins[slug]
	if p == nil {
		p = &plugin{}
		w.plugins[slug] = p
	}
	if p.failures < InARow {
		if subject != "" && slices.Contains(p.subjects, subject) {
			return
		}
		p.failures++
		p.subjects = append(p.subjects, subject)
	}
	if p.failures < InARow {
		return
	}
	now := w.options.Now()
	if p.Since.IsZero() {
		p.Since = now
	}
	if p.Told || now.Before(p.Last.Add(p.Quiet)) {
		return
	}
	p.Quiet = min(2*p.Quiet, maxQuiet)
	if now.Sub(p.Last) >= maxQuiet {
		p.Quiet = minQuiet
	}
	p.Told, p.Last = true, now
	w.options.OnChange(Change{Plugin: slug, Failing: true, Reason: reason, Since: p.Since})
}

// Worked notes that a request for a plugin succeeded.
func (w *Watch) Worked(slug string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.plugins[slug]
	if p == nil {
		return
	}
	p.failures, p.subjects = 0, nil
	since := p.Since
	p.Since = time.Time{}
	if p.Told {
		p.Told, p.Last = false, w.options.Now()
		w.options.OnChange(Change{Plugin: slug, Since: since})
	}
	if p.Last.IsZero() {
		delete(w.plugins, slug)
	}
}

// IsFailing reports whether a plugin fails, whether that was told or not.
func (w *Watch) IsFailing(slug string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.plugins[slug]
	return p != nil && !p.Since.IsZero()
}

// States returns the states of all plugins that have one, for the next process.
func (w *Watch) States() map[string]State {
	w.mu.Lock()
	defer w.mu.Unlock()
	states := make(map[string]State, len(w.plugins))
	for slug, p := range w.plugins {
		states[slug] = p.State
	}
	maps.DeleteFunc(states, func(_ string, state State) bool { return state == State{} })
	return states
}

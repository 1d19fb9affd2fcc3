package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Page is what a window shows, or an iframe in it.
type Page struct {
	profile *Profile
	at      place
}

// Keys for [Page.Press], as WebDriver has them.
const (
	Backspace = "\ue003"
	Tab       = "\ue004"
	Enter     = "\ue007"
	Escape    = "\ue00c"
	ArrowUp   = "\ue013"
	ArrowDown = "\ue015"
)

// Engine is the engine that shows the page.
func (p *Page) Engine() Engine { return p.profile.engine }

// Profile is the profile whose window it is.
func (p *Page) Profile() *Profile { return p.profile }

// Navigate loads an address, and returns once the page has loaded.
func (p *Page) Navigate(t testing.TB, address string) {
	t.Helper()
	p.do(t, "loading "+address, func(ctx context.Context) error {
		return p.profile.driver.navigate(ctx, p.at.window, address)
	})
}

// Reload loads the page of the window again, and returns once it has loaded.
func (p *Page) Reload(t testing.TB) {
	t.Helper()
	p.do(t, "a reload", func(ctx context.Context) error {
		return p.profile.driver.travel(ctx, p.at.window, 0)
	})
}

// Back goes back in the window's history. It does not wait for the page.
func (p *Page) Back(t testing.TB) {
	t.Helper()
	p.do(t, "going back", func(ctx context.Context) error {
		return p.profile.driver.travel(ctx, p.at.window, -1)
	})
}

// Close closes the window.
func (p *Page) Close(t testing.TB) {
	t.Helper()
	p.do(t, "closing a window", func(ctx context.Context) error {
		return p.profile.driver.close(ctx, p.at.window)
	})
}

// do does what must work.
func (p *Page) do(t testing.TB, what string, action func(context.Context) error) {
	t.Helper()
	ctx, cancel := limit()
	defer cancel()
	if err := action(ctx); err != nil {
		t.Fatalf("%s: %s: %v", p.Engine(), what, err)
	}
}

// Evaluate evaluates an expression of JavaScript in a page, awaits its value if it is a promise, and returns
// it. What JSON does not know, such as undefined, is the zero value.
func Evaluate[T any](t testing.TB, p *Page, expression string) (value T) {
	t.Helper()
	p.do(t, expression, func(ctx context.Context) error {
		return p.evaluateInto(ctx, expression, &value)
	})
	return value
}

func (p *Page) evaluateInto(ctx context.Context, expression string, value any) error {
	text, err := p.profile.driver.evaluate(ctx, p.at, expression)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, value)
}

// Run evaluates an expression of JavaScript for what it does, and awaits it: several are separated by commas.
func (p *Page) Run(t testing.TB, expression string) {
	t.Helper()
	p.do(t, expression, func(ctx context.Context) error {
		_, err := p.profile.driver.evaluate(ctx, p.at, "("+expression+", null)")
		return err
	})
}

// Text returns what a person reads in the first element of a selector; "nothing" if there is none.
func (p *Page) Text(t testing.TB, selector string) string {
	t.Helper()
	return Evaluate[string](t, p, fmt.Sprintf("%s?.innerText ?? 'nothing'", Element(selector)))
}

// Element is an expression for the first element of a selector.
func Element(selector string) string {
	quoted, _ := json.Marshal(selector) // a string can always be written in JSON
	return "document.querySelector(" + string(quoted) + ")"
}

// Until waits for a condition of JavaScript in the page. It asks from outside, and again while another page
// loads.
func (p *Page) Until(t testing.TB, condition string) {
	t.Helper()
	ctx, cancel := limit()
	defer cancel()
	var holds bool
	var err error
	came := askUntil(ctx, func() bool {
		if now := p.evaluateInto(ctx, "!!("+condition+")", &holds); ctx.Err() == nil {
			err = now
		}
		return err == nil && holds
	})
	if !came {
		t.Fatalf("%s: %s did not come: %v\n%s", p.Engine(), condition, err, p.describe())
	}
}

// askUntil asks until it is told yes, and ever less often: browsers have other work to do. It reports whether
// that was before the context ended.
func askUntil(ctx context.Context, ask func() bool) bool {
	const first, longest = 10 * time.Millisecond, 160 * time.Millisecond
	for pause := first; !ask(); pause = min(2*pause, longest) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
	return true
}

// describe says what the page shows, for a test that fails.
func (p *Page) describe() (shown string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := p.evaluateInto(ctx, "location.href + '\\n' + document.body?.innerText", &shown); err != nil {
		return err.Error()
	}
	return shown
}

// WaitVisible waits until the first element of a selector is there and takes up space.
func (p *Page) WaitVisible(t testing.TB, selector string) {
	t.Helper()
	p.Until(t, fmt.Sprintf(`(element => element?.offsetHeight > 0 &&
		getComputedStyle(element).visibility === "visible")(%s)`, Element(selector)))
}

// Click clicks the first element of a selector as a person does, once it is there and nothing covers it. The
// click is one for which the page may open a window.
func (p *Page) Click(t testing.TB, selector string) {
	t.Helper()
	p.ClickElement(t, Element(selector))
}

// ClickElement is [Page.Click] for the element that an expression of JavaScript gives.
func (p *Page) ClickElement(t testing.TB, element string) {
	t.Helper()
	p.do(t, "a click on "+element, func(ctx context.Context) error {
		return p.profile.driver.click(ctx, p.at, element)
	})
}

// SetValue sets the value of the first element of a selector, once it is there.
func (p *Page) SetValue(t testing.TB, selector, value string) {
	t.Helper()
	p.WaitVisible(t, selector)
	quoted, _ := json.Marshal(value)
	p.Run(t, Element(selector)+".value = "+string(quoted))
}

// Type clicks the first element of a selector, once it is there, and presses keys.
func (p *Page) Type(t testing.TB, selector, keys string) {
	t.Helper()
	p.Click(t, selector)
	p.Press(t, keys)
}

// Press presses keys one after the other, such as [Tab], or a text. What has the focus gets them.
func (p *Page) Press(t testing.TB, keys string) {
	t.Helper()
	p.do(t, "pressing keys", func(ctx context.Context) error {
		return p.profile.driver.press(ctx, p.at, keys)
	})
}

// Frame is the page in the iframe that a selector gives, once that has loaded something from http or https,
// or from srcdoc. The iframe must be of another site, or in a sandbox without allow-same-origin.
func (p *Page) Frame(t testing.TB, selector string) *Page {
	t.Helper()
	at := place{window: p.at.window, frames: append(append([]string{}, p.at.frames...), Element(selector))}
	frame := &Page{profile: p.profile, at: at}
	frame.Until(t, `document.readyState === "complete" && location.href !== "about:blank"`)
	return frame
}

// Window waits for a window of the profile whose address begins so, and that no Page has been made for yet.
func (p *Page) Window(t testing.TB, prefix string) *Page {
	t.Helper()
	ctx, cancel := limit()
	defer cancel()
	var windows map[string]string
	var opened *Page
	came := askUntil(ctx, func() bool {
		windows = p.profile.Windows(t)
		for id, address := range windows {
			if strings.HasPrefix(address, prefix) && !p.profile.isTaken(id) {
				opened = p.profile.page(id)
				return true
			}
		}
		return false
	})
	if !came {
		t.Fatalf("%s: no window with %s opened; there are %q", p.Engine(), prefix, windows)
	}
	return opened
}

func (p *Profile) isTaken(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken[id]
}

// NoWindow waits until no window of the profile has an address that begins so.
func (p *Page) NoWindow(t testing.TB, prefix string) {
	t.Helper()
	ctx, cancel := limit()
	defer cancel()
	var found string
	closed := askUntil(ctx, func() bool {
		found = ""
		for _, address := range p.profile.Windows(t) {
			if strings.HasPrefix(address, prefix) {
				found = address
			}
		}
		return found == ""
	})
	if !closed {
		t.Fatalf("%s: the window with %s is still open", p.Engine(), found)
	}
}

// Windows returns the addresses of the profile's windows, by their ids.
func (p *Profile) Windows(t testing.TB) map[string]string {
	t.Helper()
	ctx, cancel := limit()
	defer cancel()
	windows, err := p.driver.windows(ctx)
	if err != nil {
		t.Fatalf("%s: the windows: %v", p.engine, err)
	}
	addresses := map[string]string{}
	for _, window := range windows {
		addresses[window.id] = window.address
	}
	return addresses
}

// Screenshot writes a picture of the window into a file, as a PNG. WebKit cannot picture a window that others
// cover: there it is the whole screen.
func (p *Page) Screenshot(t testing.TB, file string) {
	t.Helper()
	p.do(t, "a screenshot", func(ctx context.Context) error {
		picture, err := p.profile.driver.screenshot(ctx, p.at.window)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, picture, 0o644)
	})
}

// inJSON is an expression for what an expression gives, in JSON and as a promise.
func inJSON(expression string) string {
	return "(async () => JSON.stringify(await (" + expression + ")) ?? 'null')()"
}

// findMiddle gives the middle of an element in its page, once it shows there and takes clicks.
const findMiddle = `(element => {
	if (!element || element.disabled) return null
	element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" })
	const { left, top, width, height } = element.getBoundingClientRect()
	const x = left + width / 2, y = top + height / 2
	return element.contains(document.elementFromPoint(x, y)) ? { x, y } : null
})`

// middle returns the middle of the element that an expression gives, once it shows there.
func middle(ctx context.Context, d driver, at place, element string) (x, y float64, err error) {
	var point *struct{ X, Y float64 }
	shows := askUntil(ctx, func() bool {
		var text []byte
		if text, err = d.evaluate(ctx, at, findMiddle+"("+element+")"); err == nil {
			err = json.Unmarshal(text, &point)
		}
		return err == nil && point != nil
	})
	if !shows {
		return 0, 0, errors.Join(fmt.Errorf("%s does not show", element), err)
	}
	return point.X, point.Y, nil
}

package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// firefoxPreferences keep Firefox quiet, and as people have it: those that it recommends for tests would let
// every page open windows.
const firefoxPreferences = `
user_pref("remote.prefs.recommended", false);
user_pref("app.update.disabledForTesting", true);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("browser.region.network.url", "");
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("browser.topsites.contile.enabled", false);
user_pref("browser.safebrowsing.malware.enabled", false);
user_pref("browser.safebrowsing.phishing.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("extensions.update.enabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
user_pref("toolkit.telemetry.enabled", false);
user_pref("toolkit.telemetry.server", "data:,");
`

// firefoxBlocks is the preference for no cookies and no storage in iframes of other sites.
const firefoxBlocks = `user_pref("network.cookie.cookieBehavior", 1);`

var firefoxListens = regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)

func startFirefox(ctx context.Context, o options) (*bidi, func(), error) {
	folder, err := os.MkdirTemp("", "firefox")
	if err != nil {
		return nil, nil, err
	}
	preferences := firefoxPreferences
	if o.blockThirdParties {
		preferences += firefoxBlocks
	}
	if err := os.WriteFile(filepath.Join(folder, "user.js"), []byte(preferences), 0o600); err != nil {
		return nil, nil, err
	}
	p, err := startProcess(folder, nil, o.programs[0],
		"--headless", "--no-remote", "--profile", folder, "--remote-debugging-port=0",
		"--remote-allow-origins="+bidiOrigin)
	if err != nil {
		return nil, nil, err
	}
	address, err := p.prints(ctx, firefoxListens)
	if err != nil {
		return nil, nil, err
	}
	b, err := dialBiDi(ctx, address+"/session")
	if err != nil {
		p.stop()
		return nil, nil, fmt.Errorf("%w\n%s", err, &p.printed)
	}
	return b, p.stop, nil
}

// firefox is a user context of Firefox, which is what its containers are.
type firefox struct {
	*bidi

	context string // its id
}

func newFirefoxProfile(ctx context.Context, o options) (driver, error) {
	b, err := share(fmt.Sprint(Firefox, o), func() (*bidi, func(), error) { return startFirefox(ctx, o) })
	if err != nil {
		return nil, err
	}
	var made struct {
		UserContext string `json:"userContext"`
	}
	err = b.call(ctx, "browser.createUserContext", map[string]any{}, &made)
	return &firefox{bidi: b, context: made.UserContext}, err
}

// firefoxContext is a browsing context (WebDriver BiDi section 7.3.3.1).
type firefoxContext struct {
	Context     string
	URL         string
	UserContext string `json:"userContext"`
}

func (f *firefox) open(ctx context.Context) (id string, err error) {
	f.focus.Lock()
	defer f.focus.Unlock()
	var made firefoxContext
	err = f.call(ctx, "browsingContext.create", map[string]any{
		"type": "window", "userContext": f.context,
	}, &made)
	return made.Context, err
}

func (f *firefox) windows(ctx context.Context) (windows []window, err error) {
	var tree struct{ Contexts []firefoxContext }
	if err := f.call(ctx, "browsingContext.getTree", map[string]any{"maxDepth": 0}, &tree); err != nil {
		return nil, err
	}
	for _, top := range tree.Contexts {
		if top.UserContext == f.context {
			windows = append(windows, window{id: top.Context, address: top.URL})
		}
	}
	return windows, nil
}

func (f *firefox) navigate(ctx context.Context, id, address string) error {
	return f.call(ctx, "browsingContext.navigate", map[string]any{
		"context": id, "url": address, "wait": "complete",
	}, nil)
}

func (f *firefox) travel(ctx context.Context, id string, steps int) error {
	if steps == 0 {
		return f.call(ctx, "browsingContext.reload", map[string]any{"context": id, "wait": "complete"}, nil)
	}
	return f.call(ctx, "browsingContext.traverseHistory", map[string]any{"context": id, "delta": steps}, nil)
}

// firefoxValue is a value of a script (WebDriver BiDi section 7.10).
type firefoxValue struct {
	Type   string // success or exception
	Result struct {
		Type  string
		Value json.RawMessage
	}
	ExceptionDetails struct{ Text string } `json:"exceptionDetails"`
}

func (f *firefox) script(ctx context.Context, context, expression string) (
	value firefoxValue, err error,
) {
	err = f.call(ctx, "script.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true,
		"target": map[string]any{"context": context},
	}, &value)
	if err == nil && value.Type != "success" {
		err = errors.New(value.ExceptionDetails.Text)
	}
	return value, err
}

// at returns the browsing context of a place.
func (f *firefox) at(ctx context.Context, at place) (context string, err error) {
	context = at.window
	for _, frame := range at.frames {
		value, err := f.script(ctx, context, "("+frame+").contentWindow")
		if err != nil {
			return "", err
		}
		var inner firefoxContext
		if err := json.Unmarshal(value.Result.Value, &inner); err != nil {
			return "", err
		}
		context = inner.Context
	}
	return context, nil
}

func (f *firefox) evaluate(ctx context.Context, at place, expression string) ([]byte, error) {
	context, err := f.at(ctx, at)
	if err != nil {
		return nil, err
	}
	value, err := f.script(ctx, context, inJSON(expression))
	if err != nil {
		return nil, err
	}
	var text string
	err = json.Unmarshal(value.Result.Value, &text)
	return []byte(text), err
}

func (f *firefox) click(ctx context.Context, at place, element string) error {
	if err := f.show(ctx, at.window); err != nil {
		return err
	}
	x, y, err := middle(ctx, f, at, element)
	if err != nil {
		return err
	}
	return f.act(ctx, at, map[string]any{
		"type": "pointer", "id": "mouse", "actions": []map[string]any{
			{"type": "pointerMove", "x": int(x), "y": int(y)},
			{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0},
		},
	})
}

// show brings a window to the front that is a tab behind another: there it takes no click.
func (f *firefox) show(ctx context.Context, id string) error {
	hidden, err := f.evaluate(ctx, place{window: id}, "document.hidden")
	if err != nil || string(hidden) == "false" {
		return err
	}
	return f.call(ctx, "browsingContext.activate", map[string]any{"context": id}, nil)
}

// act performs the actions of an input device.
func (f *firefox) act(ctx context.Context, at place, device map[string]any) error {
	context, err := f.at(ctx, at)
	if err != nil {
		return err
	}
	return f.call(ctx, "input.performActions", map[string]any{
		"context": context, "actions": []any{device},
	}, nil)
}

// press presses keys once the window has the focus: without it, Enter does nothing to a button. A page of
// another test may open a window in between, which takes the focus; then Enter is pressed again.
func (f *firefox) press(ctx context.Context, at place, keys string) error {
	f.focus.Lock()
	defer f.focus.Unlock()
	for {
		if err := f.takeFocus(ctx, at.window); err != nil {
			return err
		}
		if keys != Enter {
			return f.act(ctx, at, keyActions(keys))
		}
		_, err := f.evaluate(ctx, at, `(globalThis.entered = false, ["click", "submit"].forEach(type =>
			addEventListener(type, () => globalThis.entered = true, { capture: true, once: true })))`)
		if err == nil {
			err = f.act(ctx, at, keyActions(keys))
		}
		if err != nil {
			return err
		}
		lost, err := f.evaluate(ctx, at, "!document.hasFocus() && globalThis.entered === false")
		if err != nil || string(lost) != "true" {
			return nil // without an answer another page is loading
		}
	}
}

// takeFocus gives a window the focus. The caller holds the lock.
func (f *firefox) takeFocus(ctx context.Context, window string) error {
	var err error
	focused := askUntil(ctx, func() bool {
		var has []byte
		has, err = f.evaluate(ctx, place{window: window}, "document.hasFocus()")
		if err != nil || string(has) == "true" {
			return true
		}
		err = f.call(ctx, "browsingContext.activate", map[string]any{"context": window}, nil)
		return err != nil
	})
	if !focused {
		return errors.New("the window does not get the focus")
	}
	return err
}

// keyActions are WebDriver's actions for keys that are pressed one after the other.
func keyActions(keys string) map[string]any {
	var actions []map[string]any
	for key := range strings.SplitSeq(keys, "") {
		actions = append(actions,
			map[string]any{"type": "keyDown", "value": key}, map[string]any{"type": "keyUp", "value": key})
	}
	return map[string]any{"type": "key", "id": "keyboard", "actions": actions}
}

func (f *firefox) screenshot(ctx context.Context, id string) ([]byte, error) {
	if err := f.show(ctx, id); err != nil {
		return nil, err
	}
	var made struct{ Data string }
	err := f.call(ctx, "browsingContext.captureScreenshot", map[string]any{"context": id}, &made)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(made.Data)
}

func (f *firefox) close(ctx context.Context, id string) error {
	return f.call(ctx, "browsingContext.close", map[string]any{"context": id}, nil)
}

func (f *firefox) quit() {
	ctx, cancel := limit()
	defer cancel()
	// It closes the windows as well. Firefox may have ended.
	_ = f.call(ctx, "browser.removeUserContext", map[string]any{"userContext": f.context}, nil)
}

package browser

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"plugin-oauth/internal/testkit"
)

// miniBrowsers are where Debian and its relatives have WebKitGTK's browser, which is not in the PATH.
const miniBrowsers = "/usr/lib*/*/webkit2gtk-4*/MiniBrowser"

// webkit is a browser of its own, as its driver knows one session and no profiles, with a screen of its own.
type webkit struct {
	driver, screen *process

	address string // of its session at the driver
	spare   string // the handle of the first window, which stays unused: the session ends with the last

	mu sync.Mutex // commands are for the window that was switched to
}

// displayNumber is what Xvfb prints.
var displayNumber = regexp.MustCompile(`(?m)^(\d+)\n`)

func newWebKitProfile(ctx context.Context, o options) (driver, error) {
	found, err := filepath.Glob(miniBrowsers)
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("there is no MiniBrowser at %s", miniBrowsers)
	}
	w := &webkit{}
	display, err := w.startScreen(ctx, o.programs[1])
	if err != nil {
		return nil, err
	}
	if err := w.startDriver(ctx, o.programs[0], display); err != nil {
		w.screen.stop()
		return nil, err
	}
	var made struct{ SessionID string }
	err = w.post(ctx, "/session", map[string]any{
		"capabilities": map[string]any{"alwaysMatch": map[string]any{
			"webkitgtk:browserOptions": map[string]any{"binary": found[0], "args": []string{"--automation"}},
			"acceptInsecureCerts":      true,
			"timeouts":                 map[string]any{"script": nil}, // it would be a timer of the page
		}},
	}, &made)
	w.address += "/session/" + made.SessionID
	if err == nil {
		err = w.call(ctx, http.MethodGet, "/window", nil, &w.spare)
	}
	if err != nil {
		w.quit()
		return nil, fmt.Errorf("%w\n%s", err, &w.driver.printed)
	}
	return w, nil
}

// startScreen starts a screen that nobody sees, and returns its name.
func (w *webkit) startScreen(ctx context.Context, program string) (display string, err error) {
	folder, err := os.MkdirTemp("", "xvfb")
	if err != nil {
		return "", err
	}
	w.screen, err = startProcess(folder, nil, program, "-displayfd", "1", "-fbdir", folder,
		"-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-noreset")
	if err != nil {
		return "", err
	}
	number, err := w.screen.prints(ctx, displayNumber)
	return ":" + number, err
}

func (w *webkit) startDriver(ctx context.Context, program, display string) error {
	folder, err := os.MkdirTemp("", "webkit")
	if err != nil {
		return err
	}
	listens, err := testkit.FreeAddress()
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(listens)
	w.address = "http://" + listens
	// Its sandbox needs rights that containers do not give, and its graphics a card.
	w.driver, err = startProcess(folder, []string{
		"DISPLAY=" + display, "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS=1",
		"WEBKIT_DISABLE_DMABUF_RENDERER=1", "GDK_BACKEND=x11", "NO_AT_BRIDGE=1", "GTK_A11Y=none",
	}, program, "--port="+port)
	if err != nil {
		return err
	}
	return w.driver.until(ctx, func() bool {
		connection, err := net.Dial("tcp", listens)
		return err == nil && connection.Close() == nil
	})
}

// webkitError is what the driver answers to a command that did not work (WebDriver section 6.6).
type webkitError struct{ Code, Message string }

func (e *webkitError) Error() string { return e.Code + ": " + e.Message }

// call sends a command, and reads its result unless that is nil.
func (w *webkit) call(ctx context.Context, method, path string, parameters map[string]any, result any) error {
	var body bytes.Buffer
	if parameters != nil {
		if err := json.NewEncoder(&body).Encode(parameters); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, w.address+path, &body)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s %s: %d: %w", method, path, response.StatusCode, err)
	}
	if response.StatusCode != http.StatusOK {
		var failure struct{ Error, Message string }
		if err := json.Unmarshal(answer.Value, &failure); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", path, &webkitError{Code: failure.Error, Message: failure.Message})
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, result)
}

func (w *webkit) post(ctx context.Context, path string, parameters map[string]any, result any) error {
	return w.call(ctx, http.MethodPost, path, parameters, result)
}

// open opens a window, not a tab: in a hidden one a page cannot open another.
func (w *webkit) open(ctx context.Context) (id string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var made struct{ Handle string }
	err = w.post(ctx, "/window/new", map[string]any{"type": "window"}, &made)
	return made.Handle, err
}

func (w *webkit) windows(ctx context.Context) (windows []window, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var handles []string
	if err := w.call(ctx, http.MethodGet, "/window/handles", nil, &handles); err != nil {
		return nil, err
	}
	for _, handle := range handles {
		if handle == w.spare {
			continue
		}
		var address string
		err := w.post(ctx, "/window", map[string]any{"handle": handle}, nil)
		if err == nil {
			err = w.call(ctx, http.MethodGet, "/url", nil, &address)
		}
		var failure *webkitError
		if errors.As(err, &failure) && failure.Code == "no such window" {
			continue // it has been closed meanwhile
		}
		if err != nil {
			return nil, err
		}
		windows = append(windows, window{id: handle, address: address})
	}
	return windows, nil
}

// switchTo makes the next commands those for a place.
func (w *webkit) switchTo(ctx context.Context, at place) error {
	if err := w.post(ctx, "/window", map[string]any{"handle": at.window}, nil); err != nil {
		return err
	}
	for _, frame := range at.frames {
		element, err := w.element(ctx, frame)
		if err != nil {
			return err
		}
		if err := w.post(ctx, "/frame", map[string]any{"id": element}, nil); err != nil {
			return err
		}
	}
	return nil
}

// element returns the driver's reference to the element that an expression gives.
func (w *webkit) element(ctx context.Context, expression string) (element map[string]string, err error) {
	err = w.post(ctx, "/execute/sync", map[string]any{
		"script": "return " + expression, "args": []any{},
	}, &element)
	if err == nil && len(element) == 0 {
		err = errors.New(expression + " is not there")
	}
	return element, err
}

func (w *webkit) navigate(ctx context.Context, id, address string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.switchTo(ctx, place{window: id}); err != nil {
		return err
	}
	return w.post(ctx, "/url", map[string]any{"url": address}, nil)
}

func (w *webkit) travel(ctx context.Context, id string, steps int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.switchTo(ctx, place{window: id}); err != nil {
		return err
	}
	if steps == 0 {
		return w.post(ctx, "/refresh", map[string]any{}, nil)
	}
	return w.post(ctx, "/back", map[string]any{}, nil)
}

func (w *webkit) evaluate(ctx context.Context, at place, expression string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.switchTo(ctx, at); err != nil {
		return nil, err
	}
	var text string
	err := w.post(ctx, "/execute/sync", map[string]any{
		"script": "return " + inJSON(expression), "args": []any{},
	}, &text)
	return []byte(text), err
}

func (w *webkit) click(ctx context.Context, at place, expression string) error {
	if _, _, err := middle(ctx, w, at, expression); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.switchTo(ctx, at); err != nil {
		return err
	}
	element, err := w.element(ctx, expression)
	if err != nil {
		return err
	}
	for _, id := range element {
		return w.post(ctx, "/element/"+id+"/click", map[string]any{}, nil)
	}
	return nil
}

func (w *webkit) press(ctx context.Context, at place, keys string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.switchTo(ctx, at); err != nil {
		return err
	}
	return w.post(ctx, "/actions", map[string]any{"actions": []any{keyActions(keys)}}, nil)
}

func (w *webkit) close(ctx context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.switchTo(ctx, place{window: id}); err != nil {
		return err
	}
	return w.call(ctx, http.MethodDelete, "/window", nil, nil)
}

func (w *webkit) quit() {
	w.driver.stop()
	w.screen.stop()
}

// screenshot pictures the whole screen: the driver's own screenshots do not end without a graphics card. The
// screen's memory is a file in the format of xwd.
func (w *webkit) screenshot(context.Context, string) ([]byte, error) {
	screen, err := os.ReadFile(filepath.Join(w.screen.folder, "Xvfb_screen0"))
	if err != nil {
		return nil, err
	}
	const colourSize = 12
	field := func(i int) int { return int(binary.BigEndian.Uint32(screen[4*i:])) }
	start := field(0) + field(19)*colourSize
	width, height, perLine := field(4), field(5), field(12)
	picture := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		line := screen[start+y*perLine:]
		for x := range width {
			picture.SetNRGBA(x, y, color.NRGBA{R: line[4*x+2], G: line[4*x+1], B: line[4*x], A: 255})
		}
	}
	var encoded bytes.Buffer
	err = png.Encode(&encoded, picture)
	return encoded.Bytes(), err
}

package alert

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"plugin-oauth/internal/testkit"
)

// chat is a webhook. It answers with a handler once it has read a message.
func newChat(t *testing.T, handler http.HandlerFunc) (address string, texts chan string) {
	t.Helper()
	texts = make(chan string, 100)
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, r.Header, err)
		}
		texts <- string(body)
		if handler != nil {
			handler(w, r)
		}
	}))
	t.Cleanup(chat.Close)
	return chat.URL + "/secret?token=secret", texts
}

func TestPost(t *testing.T) {
	t.Parallel()
	address, texts := newChat(t, nil)
	err := Post(t.Context(), address, "a \"text\"\n& <more>")
	if got := <-texts; err != nil || got != `{"text":"a \"text\"\n\u0026 \u003cmore\u003e"}` {
		t.Errorf("%v, sent %s", err, got)
	}
}

// What goes wrong is said without the address, and nothing is followed or sent twice.
func TestPostErrors(t *testing.T) {
	t.Parallel()
	gone, err := testkit.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	gone = "http://" + gone + "/secret"
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		followed.Store(true)
	}))
	t.Cleanup(elsewhere.Close)
	encrypted := httptest.NewTLSServer(http.NotFoundHandler())
	encrypted.Config.ErrorLog = nil
	t.Cleanup(encrypted.Close)
	for _, test := range []struct {
		name, address string
		handler       http.HandlerFunc
		want          string
	}{
		{name: "gone", address: gone, want: "the host cannot be reached"},
		{name: "no such host", address: "http://secret.invalid/", want: "the host cannot be reached"},
		{name: "not trusted", address: encrypted.URL, want: "the certificate of the host is not valid"},
		{name: "no HTTPS", address: strings.Replace(elsewhere.URL, "http:", "https:", 1),
			want: "the host gave no answer that can be read"},
		{name: "404", handler: http.NotFound, want: "the host answered 404"},
		{name: "500", handler: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret", http.StatusInternalServerError)
		}, want: "the host answered 500"},
		{name: "redirect", handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusPermanentRedirect)
		}, want: "the host answered 308, a redirect, which is not followed"},
		{name: "broken off", handler: func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, want: "the host gave no answer that can be read"},
		{name: "too slow", handler: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			want: "the host does not answer in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var texts chan string
			if test.handler != nil {
				test.address, texts = newChat(t, test.handler)
			}
			timeout := time.Minute
			if test.name == "too slow" {
				timeout = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			if err := Post(ctx, test.address, "text"); err == nil || err.Error() != test.want {
				t.Errorf("the error is %v, want %s", err, test.want)
			}
			if len(texts) > 1 || followed.Load() {
				t.Errorf("sent %d times; followed: %v", len(texts), followed.Load())
			}
		})
	}
}

// A host that cannot be reached is tried again. One that may have got the message is not.
func TestSenderTriesAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		err           error
		tries, failed int
	}{
		{name: "not reached", err: errUnreachable, tries: maxTries, failed: 1},
		{name: "broken off", err: errNoAnswer, tries: 1, failed: 1},
		{name: "sent", tries: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries, failed := 0, 0
				s := newSender(SenderOptions{
					Before:  func() {},
					OnError: func(Message, error) { failed++ },
				}, func(context.Context, string, string) error {
					tries++
					return test.err
				})
				s.Send(Message{Plugin: "notes", Failing: true})
				time.Sleep(time.Hour)
				s.Close(t.Context())
				if tries != test.tries || failed != test.failed {
					t.Errorf("%d tries, %d failed", tries, failed)
				}
			})
		})
	}
}

// A slow host holds nobody up and is not sent what is over; what waits is as much as there are plugins. A
// shutdown does not wait for it longer than it wants to.
func TestSenderSlowHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent, lost []string
		s := newSender(SenderOptions{
			Before:  func() {},
			OnError: func(message Message, err error) { lost = append(lost, message.Text) },
		}, func(ctx context.Context, _, text string) error {
			sent = append(sent, text)
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		began := time.Now()
		s.Send(Message{Plugin: "first", Failing: true, Text: "first fails"})
		synctest.Wait()
		for i := range 1000 {
			s.Send(Message{Plugin: "notes", Failing: i%2 == 0, Text: fmt.Sprint("notes ", i)})
		}
		s.Send(Message{Plugin: "notes", Failing: true, Text: "notes fails"})
		s.Send(Message{Plugin: "first", Text: "first works"})
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		s.Close(ctx)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the shutdown took %s", took)
		}
		if got := strings.Join(sent, ", "); got != "first fails, notes fails, first works" {
			t.Errorf("sent %s", got)
		}
		if got := strings.Join(lost, ", "); got != "notes fails, first works" {
			t.Errorf("lost %s", got)
		}
	})
}

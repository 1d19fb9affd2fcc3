package testkit

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
)

func TestServe(t *testing.T) {
	t.Parallel()
	for range 2 { // apps may start at the same time
		t.Run("", func(t *testing.T) {
			t.Parallel()
			served := false
			s := Serve(t, func(app core.App, b *Backend) error {
				app.OnServe().BindFunc(func(e *core.ServeEvent) error {
					e.Router.GET("/", func(e *core.RequestEvent) error {
						return e.String(http.StatusOK, b.URL)
					})
					err := e.Next()
					served = true
					return err
				})
				return nil
			})
			if !served {
				t.Error("the hooks were not done")
			}
			s.Expect("GET /", s.Get("/"), http.StatusOK, s.URL)
			s.App.Logger().Error("something happened", "why", "a test")
			if logged := s.Logged(); !strings.Contains(logged, `something happened {"why":"a test"}`) {
				t.Errorf("the log holds\n%s", logged)
			}
		})
	}
}

// The records of plugins are made and changed as an admin.
func TestAdmin(t *testing.T) {
	t.Parallel()
	s := Serve(t, func(core.App, *Backend) error { return nil })
	one := s.Plugin("one")
	if one.URL != s.URL+"/one" || one.Provider == s.Provider {
		t.Errorf("the plugin is at %s", one.URL)
	}
	if got := one.CreatePlugin(map[string]any{"slug": "one", "clientId": "a"}); got.Status != http.StatusOK {
		t.Fatalf("create: %d %s", got.Status, got.Body)
	}
	record, err := s.App.FindFirstRecordByData("plugins", "slug", "one")
	if err != nil {
		t.Fatal(err)
	}
	got := s.UpdatePlugin(record.Id, map[string]any{"clientId": "b"})
	if got.Status != http.StatusOK || !strings.Contains(got.Body, `"clientId":"b"`) {
		t.Errorf("update: %d %s", got.Status, got.Body)
	}
}

// An app that does not start leaves no listener behind.
func TestStartFails(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, register := range map[string]func(core.App) error{
		"register": func(core.App) error { return refused },
		"hook": func(app core.App) error {
			app.OnServe().BindFunc(func(*core.ServeEvent) error { return refused })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", anyPort)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Start(Options{Dir: t.TempDir(), Listener: listener, Register: register})
			if !errors.Is(err, refused) {
				t.Errorf("the error is %v", err)
			}
			if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is still open: %v", err)
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	app, err := Start(Options{
		Dir:      t.TempDir(),
		Listener: listener,
		Register: func(core.App) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Stop(); err != nil {
		t.Error(err)
	}
	if connection, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		connection.Close()
		t.Error("it still listens")
	}
}

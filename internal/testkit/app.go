// Package testkit starts the service inside this process, the built program as a process of its own, and an
// OAuth provider that refuses every deviation from the RFCs. Tests use all of it, the demo and the benchmark
// a part of it.
//
// It does not import package hooks, so that the tests inside that package can use it: whoever starts an app
// passes a function that registers the service with it.
package testkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/logger"
	"golang.org/x/crypto/bcrypt"

	_ "plugin-oauth/pb_migrations"
)

// Options says what [Start] starts. All fields except Connect are required.
type Options struct {
	// Dir is the data folder.
	Dir string

	// Listener is where the app answers. Start takes it over: it is closed when the app stops, or fails to
	// start.
	Listener net.Listener

	// Register registers the service with the app before it starts.
	Register func(core.App) error

	// Connect opens the app's databases. Nil means as PocketBase does.
	Connect core.DBConnectFunc
}

// App is a PocketBase app that answers requests.
type App struct {
	core.App

	served chan error // gets what apis.Serve returned, and is then closed
}

// starting is held while an app starts: PocketBase sorts its list of migrations in place.
var starting sync.Mutex

// Start starts an app. When it returns, all OnServe hooks have returned. It may be called concurrently; apps
// start one after another.
func Start(options Options) (*App, error) {
	starting.Lock()
	defer starting.Unlock()
	app := &App{
		App:    core.NewBaseApp(core.BaseAppConfig{DataDir: options.Dir, DBConnect: options.Connect}),
		served: make(chan error, 1),
	}
	if err := app.serve(options); err != nil {
		_ = options.Listener.Close() // apis.Serve closes it too, if it got that far
		return nil, errors.Join(fmt.Errorf("the app did not start: %w", err), app.ClearBootstrap())
	}
	return app, nil
}

func (a *App) serve(options Options) error {
	if err := a.Bootstrap(); err != nil {
		return err
	}
	ready := make(chan struct{})
	// The hook that is bound first returns last, so by then the service is ready, too.
	a.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.Listener = options.Listener
		e.InstallerFunc = nil // it would use the app in the background, also when that is stopped
		err := e.Next()
		if err == nil {
			close(ready)
		}
		return err
	})
	if err := options.Register(a.App); err != nil {
		return err
	}
	go func() {
		a.served <- apis.Serve(a.App, apis.ServeConfig{HttpAddr: options.Listener.Addr().String()})
		close(a.served)
	}()
	select {
	case <-ready:
		return nil
	case err := <-a.served:
		return err
	}
}

// Stop ends the app as SIGTERM does, and returns when it no longer answers.
func (a *App) Stop() error {
	event := &core.TerminateEvent{App: a.App}
	err := a.OnTerminate().Trigger(event, func(e *core.TerminateEvent) error {
		return e.App.ClearBootstrap()
	})
	return errors.Join(err, <-a.served)
}

// migrated returns a data folder on which all migrations have run, in memory: the name and content of each
// file. The migrations take a third of a second, and ten times that under the race detector.
var migrated = sync.OnceValues(func() (files map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "plugin-oauth-migrated")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	if err := app.Bootstrap(); err != nil {
		return nil, err
	}
	// Closing the databases also moves their write-ahead logs into them.
	if err := errors.Join(app.RunAllMigrations(), hashQuickly(app), app.ClearBootstrap()); err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for _, name := range []string{"data.db", "auxiliary.db"} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// hashQuickly makes an admin's password cost as little as bcrypt allows. As people have it, each takes a
// second under the race detector.
func hashQuickly(app core.App) error {
	superusers, err := app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	password, isPassword := superusers.Fields.GetByName(core.FieldNamePassword).(*core.PasswordField)
	if !isPassword {
		return errors.New("admins have no password")
	}
	password.Cost = bcrypt.MinCost
	return app.Save(superusers)
}

// MigratedDir returns a new data folder on which all migrations have run. It is removed when the test ends.
func MigratedDir(t testing.TB) string {
	t.Helper()
	starting.Lock()
	files, err := migrated()
	starting.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Bootstrap bootstraps an app while no other app starts.
func Bootstrap(app core.App) error {
	starting.Lock()
	defer starting.Unlock()
	return app.Bootstrap()
}

// OpenApp opens an app on a new data folder, on which all migrations have run. It serves nothing, and is
// closed when the test ends.
func OpenApp(t testing.TB) core.App {
	t.Helper()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: MigratedDir(t)})
	if err := Bootstrap(app); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.ClearBootstrap(); err != nil {
			t.Error(err)
		}
	})
	return app
}

// Server is an app in this process. A test sends it requests over its listener.
type Server struct {
	*Backend

	App core.App
}

// Serve starts an app on a new data folder, with a provider of its own, until the test ends. register is
// given the backend before it answers, so that it knows its URL and its provider.
func Serve(t testing.TB, register func(core.App, *Backend) error) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Backend: NewBackend(t, "http://"+listener.Addr().String())}
	s.admin.signIn = s.Superuser
	app, err := Start(Options{
		Dir:      MigratedDir(t),
		Listener: listener,
		Register: func(app core.App) error { return register(app, s.Backend) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.App = app.App
	return s
}

// Superuser creates an admin, and returns the header that authenticates the admin's requests: "Authorization:
// …".
func (s *Server) Superuser() string {
	s.T.Helper()
	collection, err := s.App.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		s.T.Fatal(err)
	}
	collection.Fields.GetByName("password").(*core.PasswordField).Cost = 4 // quick to hash
	record := core.NewRecord(collection)
	record.SetEmail(strings.ToLower(rand.Text()) + "@plugin.example")
	record.SetPassword("long enough")
	if err := s.App.Save(record); err != nil {
		s.T.Fatal(err)
	}
	token, err := record.NewAuthToken()
	if err != nil {
		s.T.Fatal(err)
	}
	return "Authorization: " + token
}

// Logged returns all of PocketBase's log, one entry on a line: its message, and its data as JSON.
func (s *Server) Logged() string {
	s.T.Helper()
	handler, ok := s.App.Logger().Handler().(interface{ WriteAll(context.Context) error })
	if !ok {
		s.T.Fatalf("PocketBase logs through a %T", s.App.Logger().Handler())
	}
	if err := handler.WriteAll(context.WithValue(s.T.Context(), logger.BlockKey, true)); err != nil {
		s.T.Fatal(err)
	}
	var lines []string
	query := s.App.AuxDB().NewQuery("SELECT message || ' ' || data FROM _logs")
	if err := query.Column(&lines); err != nil {
		s.T.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

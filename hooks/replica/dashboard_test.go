package replica

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/cmd"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/subscriptions"
	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/testkit"
)

// server is a machine with a dashboard.
type server struct {
	*machine
	*testkit.Backend
}

// serve starts a machine whose dashboard answers. prepare may change it before.
func serve(t *testing.T, prefix, name string, prepare func(*machine)) *server {
	t.Helper()
	s := &server{}
	started := testkit.Serve(t, func(app core.App, _ *testkit.Backend) error {
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			e.InstallerFunc = nil
			s.machine = openMachine(t, prefix, name, app)
			prepare(s.machine)
			if err := s.tryStart(1); err != nil {
				return err
			}
			app.OnTerminate().BindFunc(func(e *core.TerminateEvent) error {
				s.Close() // before the databases
				return e.Next()
			})
			return e.Next()
		})
		return nil
	})
	s.Backend = started.Backend
	return s
}

func nothing(*machine) {}

const records = "/api/collections/plugins/records"

// isLetIn reports whether a header authenticates an admin.
func (s *server) isLetIn(header string) bool {
	return s.Request(http.MethodGet, records, "", header).Status == http.StatusOK
}

// signIn returns the header of an admin who signs in.
func (s *server) signIn(email, password string) (header string, ok bool) {
	body, err := json.Marshal(map[string]string{"identity": email, "password": password})
	if err != nil {
		s.t.Fatal(err)
	}
	got := s.Request(http.MethodPost, "/api/collections/_superusers/auth-with-password", string(body),
		"Content-Type: application/json")
	var session struct{ Token string }
	if err := json.Unmarshal([]byte(got.Body), &session); err != nil {
		s.t.Fatal(err)
	}
	return "Authorization: " + session.Token, got.Status == http.StatusOK
}

// Who signs in at one machine is signed in at all of them, until the password changes at any.
func TestDashboardSession(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a := serve(t, prefix, "a", func(m *machine) { m.setOptions() })
	b := serve(t, prefix, "b", nothing)
	admin := a.addAdmin("admin@plugin.example")
	expectEqual(t, a.machine, b.machine)
	header, ok := a.signIn("admin@plugin.example", "long enough")
	if !ok || !b.isLetIn(header) {
		t.Fatal("b does not know the session")
	}
	watching := subscriptions.NewDefaultClient()
	known, err := b.app.FindRecordById(core.CollectionNameSuperusers, admin.Id)
	if err != nil {
		t.Fatal(err)
	}
	watching.Set(apis.RealtimeClientAuthKey, known)
	b.app.SubscriptionsBroker().Register(watching)
	if _, err := createIn(b.app, "_authOrigins", map[string]any{
		"collectionRef": admin.Collection().Id, "recordRef": admin.Id, "fingerprint": "a browser",
	}); err != nil {
		t.Fatal(err)
	}

	admin.SetPassword("another one")
	if err := a.app.Save(admin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session ends on b", func() bool { return !b.isLetIn(header) })
	eventually(t, "the browser that waits for news is signed out", func() bool {
		return watching.Get(apis.RealtimeClientAuthKey) == nil
	})
	if origins := b.column("_authOrigins", "id"); len(origins) > 0 {
		t.Error("b knows the browser from before")
	}
	header, ok = b.signIn("admin@plugin.example", "another one")
	if !ok || !a.isLetIn(header) {
		t.Fatal("a does not know the session")
	}
	a.addAdmin("other@plugin.example")
	eventually(t, "b knows the other admin", func() bool {
		return len(b.column(core.CollectionNameSuperusers, "id")) == 2
	})
	b.remove(core.CollectionNameSuperusers, admin.Id)
	eventually(t, "the session ends on a", func() bool { return !a.isLetIn(header) })
}

// The secret that sessions are signed with can be changed in the dashboard: everybody signs in again.
func TestNewSigningSecret(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a, b := serve(t, prefix, "a", nothing), serve(t, prefix, "b", nothing)
	a.addAdmin("admin@plugin.example")
	header, _ := a.signIn("admin@plugin.example", "long enough")
	eventually(t, "b knows the session", func() bool { return b.isLetIn(header) })
	secret := a.setOptions()
	eventually(t, "b has the secret", func() bool { return b.options() == secret })
	if a.isLetIn(header) || b.isLetIn(header) {
		t.Error("the session goes on")
	}
}

// A form that was opened before another machine has changed the record would undo that.
func TestForm(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a, b := serve(t, prefix, "a", nothing), serve(t, prefix, "b", nothing)
	id := a.add("notion")
	expectEqual(t, a.machine, b.machine)
	opened := b.Request(http.MethodGet, records+"/"+id, "", b.Admin())
	var form map[string]any
	if err := json.Unmarshal([]byte(opened.Body), &form); err != nil {
		t.Fatal(err)
	}
	a.mustChange(id, map[string]any{"scope": "read"})
	expectEqual(t, a.machine, b.machine)
	form["name"] = "Notion"
	const changed = `{"data":{},"message":"Changed on another machine. Load it again.","status":409}`
	b.Expect("a form", b.UpdatePlugin(id, form), http.StatusConflict, changed)
	if got := b.UpdatePlugin(id, map[string]any{"name": "Notion"}); got.Status != http.StatusOK {
		t.Errorf("a single field is not saved: %d %s", got.Status, got.Body)
	}
	expectEqual(t, b.machine, a.machine)

	release := b.hold()
	defer release()
	a.mustChange(id, map[string]any{"scope": "write"})
	b.Expect("a save that comes too soon", b.UpdatePlugin(id, map[string]any{"name": "N"}), http.StatusConflict,
		changed)
	b.Expect("a deletion", b.Request(http.MethodDelete, records+"/"+id, "", b.Admin()), http.StatusConflict,
		changed)
	a.add("figma")
	b.Expect("a slug", b.CreatePlugin(fields("figma", nil)), http.StatusConflict, `{"data":{"slug":{"code":`+
		`"validation_not_unique","message":"Must be another one: it was taken on another machine."}},`+
		`"message":"Another machine has a record with this slug.","status":409}`)
}

func TestFormWithoutMajority(t *testing.T) {
	t.Parallel()
	s := serve(t, newPrefix(), "a", func(m *machine) { m.times.save = 300 * time.Millisecond })
	header := s.Admin()
	s.kv.breakDown(func(clientv3.Op) (lost, cut bool) { return false, true })
	s.Expect("a new plugin", s.CreatePlugin(fields("figma", nil)), http.StatusServiceUnavailable,
		`{"data":{},"message":"It is not saved, since most of the machines cannot be reached at the moment. `+
			`Until they can, the dashboard is read-only.","status":503}`)
	got := s.Request(http.MethodPatch, "/api/collections/_superusers", `{"authToken":{"duration":100}}`, header,
		"Content-Type: application/json")
	if got.Status == http.StatusOK || !strings.Contains(got.Body, "It is not saved, since most of the machines") {
		t.Errorf("the options are saved: %d %s", got.Status, got.Body)
	}
	superusers, err := s.app.FindCachedCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil || superusers.AuthToken.Duration == 100 {
		t.Errorf("PocketBase goes on with options that are not stored: %v", err)
	}
	if !s.isLetIn(header) {
		t.Error("the dashboard cannot be read")
	}
}

// The command superuser is another process, and knows no cluster.
func TestSuperuserCommand(t *testing.T) {
	t.Parallel()
	prefix := newPrefix()
	a := serve(t, prefix, "a", func(m *machine) { m.times.scan = 10 * time.Millisecond })
	b := serve(t, prefix, "b", nothing)
	command := func(words ...string) {
		t.Helper()
		app := core.NewBaseApp(core.BaseAppConfig{DataDir: a.app.DataDir()})
		if err := testkit.Bootstrap(app); err != nil {
			t.Fatal(err)
		}
		superuser := cmd.NewSuperuserCommand(app)
		superuser.SetArgs(words)
		if err := superuser.Execute(); err != nil {
			t.Error(err)
		}
		if err := app.ClearBootstrap(); err != nil {
			t.Error(err)
		}
	}
	const email = "admin@plugin.example"
	canSignIn := func(password string) func() bool {
		return func() bool {
			_, ok := b.signIn(email, password)
			return ok
		}
	}
	command("upsert", email, "long enough")
	eventually(t, "the new admin can sign in at b", canSignIn("long enough"))
	command("upsert", email, "another one")
	eventually(t, "the new password is known at b", canSignIn("another one"))
	b.addAdmin("other@plugin.example")
	expectEqual(t, a.machine, b.machine)
	command("delete", email)
	eventually(t, "the admin is gone at b", func() bool {
		return len(b.column(core.CollectionNameSuperusers, "email")) == 1
	})
}

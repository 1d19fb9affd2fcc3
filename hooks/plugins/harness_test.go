package plugins

import (
	"maps"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/internal/testkit"
)

const (
	testKey  = "0123456789abcdef0123456789abcdef"
	otherKey = "another-key-with-32-characters!!"

	testSecret = "client secret/+&%"
)

// fixture is an app with records.
type fixture struct {
	*Records

	t *testing.T
}

// newFixture opens a new data folder. The app is closed when the test ends.
func newFixture(t *testing.T, defaults Defaults) *fixture {
	t.Helper()
	app := testkit.OpenApp(t)
	records := NewRecords(app, defaults)
	records.Bind()
	return &fixture{Records: records, t: t}
}

// withKey are the defaults of most tests.
var withKey = Defaults{EncryptionKey: testKey, PublicURL: "https://backend.example"}

// fields returns the fields of a valid record, with changes.
func fields(slug string, changes map[string]any) map[string]any {
	all := map[string]any{
		"slug": slug, "enabled": true, "clientId": "id", "clientSecret": testSecret,
		"authorizeEndpoint": "https://p.example/authorize", "tokenEndpoint": "https://p.example/token",
	}
	maps.Copy(all, changes)
	return all
}

// create saves a new record.
func (f *fixture) create(values map[string]any) (*core.Record, error) {
	f.t.Helper()
	collection, err := f.app.FindCollectionByNameOrId("plugins")
	if err != nil {
		f.t.Fatal(err)
	}
	record := core.NewRecord(collection)
	record.Load(values)
	return record, f.app.Save(record)
}

// add saves a new record that is valid, with changes.
func (f *fixture) add(slug string, changes map[string]any) *core.Record {
	f.t.Helper()
	record, err := f.create(fields(slug, changes))
	if err != nil {
		f.t.Fatal(err)
	}
	return record
}

// change saves changes of a record as it is stored now.
func (f *fixture) change(slug string, changes map[string]any) error {
	f.t.Helper()
	record, err := f.app.FindFirstRecordByData("plugins", "slug", slug)
	if err != nil {
		f.t.Fatal(err)
	}
	record.Load(changes)
	return f.app.Save(record)
}

// mustFind returns the plugin of a slug.
func (f *fixture) mustFind(slug string) *Plugin {
	f.t.Helper()
	plugin, err := f.Find(slug)
	if err != nil || plugin == nil {
		f.t.Fatalf("there is no plugin %s: %v", slug, err)
	}
	return plugin
}

// execute changes the database behind the service's back.
func (f *fixture) execute(statement string) {
	f.t.Helper()
	if _, err := f.app.DB().NewQuery(statement).Execute(); err != nil {
		f.t.Fatal(err)
	}
}

// reopen returns the records of the same app as they are read after a start with this key.
func (f *fixture) reopen(key string) *fixture {
	defaults := f.defaults
	defaults.EncryptionKey = key
	return &fixture{Records: NewRecords(f.app, defaults), t: f.t}
}

// expectError checks that a save is refused with some words, and does not quote the secret.
func expectError(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %q", err, words)
	}
	if err != nil && strings.Contains(err.Error(), testSecret) {
		t.Errorf("it quotes the secret: %v", err)
	}
}

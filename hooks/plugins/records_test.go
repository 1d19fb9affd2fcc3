package plugins

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"
)

// A save has its own record read again, and leaves the thousands of others alone.
func TestSaveReadsOneRecord(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("one", nil)
	f.add("two", nil)
	f.add("three", nil)
	one, two := f.mustFind("one"), f.mustFind("two")
	if err := f.change("one", map[string]any{"slug": "renamed"}); err != nil {
		t.Fatal(err)
	}
	if f.mustFind("renamed").RecordID != one.RecordID || f.mustFind("two") != two {
		t.Error("it is not the saved record alone that was read again")
	}
	if plugin, err := f.Find("one"); plugin != nil || err != nil {
		t.Errorf("the old slug finds %v, %v", plugin, err)
	}
	record, err := f.app.FindRecordById("plugins", two.RecordID)
	if err == nil {
		err = f.app.Delete(record)
	}
	if err != nil {
		t.Fatal(err)
	}
	if all, err := f.All(); err != nil || len(all) != 2 || all["renamed"] == nil || all["three"] == nil {
		t.Errorf("the records are %v, %v", all, err)
	}
}

// A save takes effect at once: new, changed, switched off and on, renamed, deleted.
func TestRecordsAreLive(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	if plugin, err := f.Find("one"); plugin != nil || err != nil {
		t.Fatalf("there is one already: %v, %v", plugin, err)
	}
	record := f.add("one", map[string]any{"pluginId": "XYZ", "scope": "read"})
	before := f.mustFind("one")
	if before.ClientSecret != testSecret || before.RecordID != record.Id || before.State != Available {
		t.Errorf("got %+v", before)
	}
	if before.RedirectURI != "https://backend.example/one/redirect" || before.PluginID != "xyz" {
		t.Errorf("it is not complete: %+v", before)
	}
	for _, test := range []struct {
		change map[string]any
		good   func(*Plugin) bool
	}{
		{change: map[string]any{"scope": "write"}, good: func(p *Plugin) bool { return p.Scope == "write" }},
		{
			change: map[string]any{"clientSecret": "new"},
			good:   func(p *Plugin) bool { return p.ClientSecret == "new" },
		},
		{
			change: map[string]any{"enabled": false},
			good:   func(p *Plugin) bool { return p.State == SwitchedOff },
		},
		{change: map[string]any{"enabled": true}, good: func(p *Plugin) bool { return p.State == Available }},
	} {
		if err := f.change("one", test.change); err != nil {
			t.Fatal(err)
		}
		if plugin := f.mustFind("one"); !test.good(plugin) {
			t.Errorf("%v: %+v", test.change, plugin)
		}
	}
	if before.Scope != "read" || before.State != Available {
		t.Errorf("a plugin that is in use was changed: %+v", before)
	}
	if err := f.change("one", map[string]any{"slug": "two"}); err != nil {
		t.Fatal(err)
	}
	if plugin, err := f.Find("one"); plugin != nil || err != nil {
		t.Errorf("the old slug has %v, %v", plugin, err)
	}
	f.mustFind("two")
	stored, err := f.app.FindRecordById("plugins", record.Id)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.app.Delete(stored); err != nil {
		t.Fatal(err)
	}
	if all, err := f.All(); len(all) != 0 || err != nil {
		t.Errorf("after it was deleted, there is %v, %v", all, err)
	}
}

// The records are read once, not with each request.
func TestRecordsAreReadOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("one", nil)
	plugin := f.mustFind("one")
	f.execute("UPDATE plugins SET scope = 'behind its back'")
	if f.mustFind("one") != plugin {
		t.Error("they are read again")
	}
}

// A save that ends while the records are read is not lost to what was read before it.
func TestSaveDuringARead(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	record := f.add("one", nil)
	before, err := f.All()
	if err != nil {
		t.Fatal(err)
	}
	record.Set("scope", "new")
	f.mu.Lock() // a request has begun to read
	saved := make(chan error, 1)
	go func() { saved <- f.app.Save(record) }()
	select {
	case err := <-saved:
		t.Errorf("the save did not wait for the read: %v", err)
		saved <- err
	case <-time.After(200 * time.Millisecond): // it waits
	}
	f.loaded.Store(&before) // and keeps what it has read
	f.mu.Unlock()
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
	if plugin := f.mustFind("one"); plugin.Scope != "new" {
		t.Error("the plugin is an old one")
	}
}

// Whoever asks after a save sees it, however many ask meanwhile.
func TestSavesRaceReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("one", nil)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				plugin, err := f.Find("one")
				if err != nil || plugin == nil || plugin.ClientSecret != testSecret {
					t.Errorf("got %+v, %v", plugin, err)
					return
				}
			}
		})
	}
	for i := range 30 {
		name := fmt.Sprint("name ", i)
		if err := f.change("one", map[string]any{"name": name}); err != nil {
			t.Error(err)
			break
		}
		if got := f.mustFind("one").Name; got != name {
			t.Errorf("after the save of %q it is %q", name, got)
		}
	}
	close(stop)
	readers.Wait()
}

// The state of a plugin, and what the start says about it in one line.
func TestStates(t *testing.T) {
	t.Parallel()
	const unreadable = "The plugin's client secret cannot be read."
	const wrongKey = "ENCRYPTION_KEY is not the one that they were saved under, so the client secrets of " +
		"these plugins cannot be read: one"
	for name, test := range map[string]struct {
		statement string // changes the database behind the service's back
		key       string // of the next start; blank: as before
		noKey     bool
		want      State
		reason    string // how it begins
		unusable  string
	}{
		"as it was": {},
		"switched off": {
			statement: "UPDATE plugins SET enabled = FALSE", want: SwitchedOff,
			reason: "This plugin is switched off.",
		},
		"off, and unreadable": {
			statement: "UPDATE plugins SET enabled = FALSE", key: otherKey, want: SwitchedOff,
			reason: "This plugin is switched off.",
		},
		"another key": {key: otherKey, want: SecretUnreadable, reason: unreadable, unusable: wrongKey},
		"no key": {
			noKey: true, want: SecretUnreadable, reason: unreadable,
			unusable: strings.Replace(wrongKey, "is not the one that they were saved under", "is not set", 1),
		},
		"another token endpoint": {
			statement: "UPDATE plugins SET tokenEndpoint = 'https://evil.example/token'",
			want:      SecretUnreadable, reason: unreadable, unusable: wrongKey,
		},
		"another revocation endpoint": {
			statement: "UPDATE plugins SET revokeEndpoint = 'https://evil.example/'", want: SecretUnreadable,
			reason: unreadable, unusable: wrongKey,
		},
		"another provider": {
			statement: "UPDATE plugins SET provider = 'github', tokenEndpoint = ''", want: SecretUnreadable,
			reason: unreadable, unusable: wrongKey,
		},
		"no sealed secret": {
			statement: "UPDATE plugins SET sealedSecret = NULL", want: SecretUnreadable, reason: unreadable,
			unusable: wrongKey,
		},
		"misconfigured": {
			statement: "UPDATE plugins SET clientId = '', pkce = 'x'", want: Misconfigured,
			reason: "The plugin's field clientId must be set; the provider's developer console shows it.",
			unusable: "one cannot be used: The plugin's field clientId must be set; " +
				"the provider's developer console shows it.",
		},
		"a login that is not encrypted": {
			statement: "UPDATE plugins SET authorizeEndpoint = 'http://p.example/'", want: Misconfigured,
			reason:   "The plugin's field authorizeEndpoint " + notEncrypted,
			unusable: "one cannot be used: The plugin's field authorizeEndpoint " + notEncrypted,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, withKey)
			f.add("one", nil)
			if test.statement != "" {
				f.execute(test.statement)
			}
			key := testKey
			if test.key != "" || test.noKey {
				key = test.key
			}
			next := f.reopen(key)
			plugin := next.mustFind("one")
			if plugin.State != test.want || !strings.HasPrefix(plugin.Reason(), test.reason) {
				t.Errorf("its state is %d: %s", plugin.State, plugin.Reason())
			}
			if (plugin.Reason() == "") != (test.want == Available) {
				t.Errorf("the reason is %q", plugin.Reason())
			}
			// A secret that does not open is left blank.
			if test.want == SecretUnreadable && plugin.ClientSecret != "" {
				t.Errorf("the secret is %q", plugin.ClientSecret)
			}
			if line, err := next.Unusable(); err != nil || line != test.unusable {
				t.Errorf("the start says %q, %v", line, err)
			}
		})
	}
}

// notEncrypted is what is wrong with an endpoint that is sent secrets with http://.
const notEncrypted = "must start with https://, since secrets are sent there. Only on this machine it may " +
	"be http://, or with ALLOW_HTTP=1 in the environment."

// A record that was saved with ALLOW_HTTP=1 says why it cannot be used without.
func TestNotEncrypted(t *testing.T) {
	t.Parallel()
	defaults := withKey
	defaults.AllowHTTP = true
	f := newFixture(t, defaults)
	f.add("one", map[string]any{"tokenEndpoint": "http://p.example/token"})
	if plugin := f.reopen(testKey).mustFind("one"); plugin.State != Available {
		t.Errorf("with ALLOW_HTTP=1: %s", plugin.Reason())
	}
	without := &fixture{Records: NewRecords(f.app, withKey), t: t}
	plugin := without.mustFind("one")
	if plugin.State != Misconfigured || plugin.Reason() != "The plugin's field tokenEndpoint "+notEncrypted {
		t.Errorf("its state is %d: %s", plugin.State, plugin.Reason())
	}
}

// The start names all plugins that cannot be used, each for its own reason.
func TestUnusable(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	for _, slug := range []string{"wrong", "lost", "also-lost", "good", "off"} {
		f.add(slug, nil)
	}
	f.execute("UPDATE plugins SET tokenEndpoint = 'https://evil.example/' WHERE slug LIKE '%lost'")
	f.execute("UPDATE plugins SET pkce = 'x' WHERE slug = 'wrong'")
	f.execute("UPDATE plugins SET enabled = FALSE, pkce = 'x' WHERE slug = 'off'")
	line, err := f.reopen(testKey).Unusable()
	const want = "wrong cannot be used: The plugin's field pkce must be on or off. " +
		"ENCRYPTION_KEY is not the one that they were saved under, so the client secrets of these plugins " +
		"cannot be read: also-lost, lost"
	if err != nil || line != want {
		t.Errorf("got %q, %v", line, err)
	}
}

// A database that no app has open is read in the same way.
func TestReadDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("one", nil)
	f.add("two", map[string]any{"enabled": false})
	bySlug, err := ReadDatabase(f.app.DB(), withKey)
	if err != nil || len(bySlug) != 2 {
		t.Fatalf("got %v, %v", bySlug, err)
	}
	one := bySlug["one"]
	if one.ClientSecret != testSecret || one.State != Available || bySlug["two"].State != SwitchedOff {
		t.Errorf("got %+v", one)
	}
	if !slices.Equal(one.Fingerprint, f.mustFind("one").Fingerprint) {
		t.Error("it has another fingerprint")
	}
	f.execute("DROP TABLE plugins")
	if _, err := ReadDatabase(f.app.DB(), withKey); err == nil {
		t.Error("without the table there is no error")
	}
	if _, err := f.reopen(testKey).Find("one"); err == nil {
		t.Error("without the table, Find has no error")
	}
}

// saveError returns what a refused save says at each field.
func saveError(t *testing.T, err error) map[string]string {
	t.Helper()
	found, ok := errors.AsType[validation.Errors](err)
	if !ok {
		t.Fatalf("the save is not refused at a field: %v", err)
	}
	texts := map[string]string{}
	for field, err := range found {
		texts[field] = err.Error()
	}
	return texts
}

// What the dashboard refuses, it refuses at the field, and says what to do.
func TestFieldErrorsOfRecords(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	for _, test := range append(slices.Clone(fieldTests), []struct{ field, value, want string }{
		{field: "slug", want: "slug must be set; it is the last part of the plugin's address"},
		{field: "slug", value: "\u00a0", want: "slug must be set"},
		{
			field: "clientSecret", value: secretDots,
			want: "clientSecret must be entered again; a copy of a plugin has none",
		},
		{field: "clientSecret", value: secretDots + "new", want: "clientSecret must be replaced as a whole"},
	}...) {
		t.Run(test.field+" "+test.value, func(t *testing.T) {
			values := map[string]any{"enabled": true}
			for field, value := range validFields {
				values[field] = value
			}
			values[test.field] = test.value
			_, err := f.create(values)
			got := saveError(t, err)
			if len(got) != 1 || !strings.HasPrefix(test.field+" "+got[test.field], test.want) {
				t.Errorf("got %v, want %q", got, test.want)
			}
		})
	}
	if all, err := f.All(); len(all) != 0 || err != nil {
		t.Errorf("some are stored: %v, %v", all, err)
	}
}

// No two records have the same slug, and the spaces around it do not count.
func TestSlugIsUnique(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("\u00a0taken ", nil)
	f.mustFind("taken")
	if _, err := f.create(fields(" taken", nil)); err == nil {
		t.Error("it is stored twice")
	}
}

// Without a key no secret can be stored; the error says how to make one, and does not repeat the secret.
func TestSaveWithoutKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Defaults{})
	_, err := f.create(fields("one", nil))
	got := saveError(t, err)
	if !strings.HasSuffix(got["clientSecret"], "openssl rand -base64 24") {
		t.Errorf("got %v", got)
	}
	if !strings.HasPrefix(got["redirectUri"], "must be set, or PUBLIC_URL in the environment") {
		t.Errorf("got %v", got)
	}
	expectError(t, err, "ENCRYPTION_KEY")
}

// stored returns a row of the table, as it is in the database.
func (f *fixture) stored(slug string) dbx.NullStringMap {
	f.t.Helper()
	row := dbx.NullStringMap{}
	query := f.app.DB().NewQuery("SELECT * FROM plugins WHERE slug = {:slug}").Bind(dbx.Params{"slug": slug})
	if err := query.One(&row); err != nil {
		f.t.Fatal(err)
	}
	return row
}

// However a record is saved, its secret is sealed and not in its row.
func TestSecretIsNotInTheRow(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]func(core.App, *core.Record) error{
		"with validation": func(app core.App, record *core.Record) error { return app.Save(record) },
		"without validation": func(app core.App, record *core.Record) error {
			return app.SaveNoValidate(record)
		},
		"in a transaction": func(app core.App, record *core.Record) error {
			return app.RunInTransaction(func(tx core.App) error { return tx.Save(record) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, withKey)
			collection, err := f.app.FindCollectionByNameOrId("plugins")
			if err != nil {
				t.Fatal(err)
			}
			record := core.NewRecord(collection)
			record.Load(fields("one", nil))
			if err := save(f.app, record); err != nil {
				t.Fatal(err)
			}
			if got := f.stored("one"); got["clientSecret"].String != secretDots {
				t.Errorf("the row has %q", got["clientSecret"].String)
			}
			if strings.Contains(fmt.Sprint(f.stored("one")), testSecret) {
				t.Error("the row has the secret")
			}
			if exported := fmt.Sprint(record.PublicExport()); strings.Contains(exported, testSecret) ||
				strings.Contains(exported, "sealedSecret") {
				t.Errorf("an admin sees %s", exported)
			}
			if f.mustFind("one").ClientSecret != testSecret {
				t.Error("the secret is lost")
			}
		})
	}
}

// The dots, and nothing at all, keep the secret; anything else replaces it.
func TestSecretIsKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change map[string]any
		want   string
	}{
		"form as it was shown": {change: map[string]any{"clientSecret": secretDots}, want: testSecret},
		"another field":        {change: map[string]any{"name": "new"}, want: testSecret},
		"blank":                {change: map[string]any{"clientSecret": ""}, want: testSecret},
		"space":                {change: map[string]any{"clientSecret": " "}, want: testSecret},
		"another":              {change: map[string]any{"clientSecret": " another\n"}, want: "another"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, withKey)
			f.add("one", nil)
			if err := f.change("one", test.change); err != nil {
				t.Fatal(err)
			}
			if got := f.mustFind("one").ClientSecret; got != test.want {
				t.Errorf("the secret is %q", got)
			}
		})
	}
}

// An admin cannot have a secret that they cannot read sent to a server of their own.
func TestSecretStaysWithItsHosts(t *testing.T) {
	t.Parallel()
	preset := map[string]any{"provider": "gitlab", "authorizeEndpoint": "", "tokenEndpoint": ""}
	shop := map[string]any{
		"provider": "shopify", "tenant": "my-store", "authorizeEndpoint": "", "tokenEndpoint": "",
	}
	realm := map[string]any{
		"provider": "keycloak", "tenant": "sso.example/realms/a",
		"authorizeEndpoint": "", "tokenEndpoint": "",
	}
	for name, test := range map[string]struct {
		before, change map[string]any
		host           string // which would be new; blank: the secret is kept
	}{
		"token endpoint": {
			change: map[string]any{"tokenEndpoint": "https://evil.example/token"},
			host:   "https://evil.example",
		},
		"revocation endpoint": {
			change: map[string]any{"revokeEndpoint": "https://evil.example/"}, host: "https://evil.example",
		},
		"to a preset": {
			change: map[string]any{"tokenEndpoint": "", "provider": "gitlab"}, host: "https://gitlab.com",
		},
		"another scheme": {
			before: preset, change: map[string]any{"tokenEndpoint": "http://gitlab.com/oauth/token"},
			host: "http://gitlab.com",
		},
		"another port": {
			change: map[string]any{"tokenEndpoint": "https://p.example:8443/token"},
			host:   "https://p.example:8443",
		},
		"another preset": {
			before: preset, change: map[string]any{"provider": "notion"}, host: "https://api.notion.com",
		},
		"another path": {
			before: preset, change: map[string]any{"tokenEndpoint": "https://gitlab.com/other"},
		},
		"another spelling": {
			before: preset, change: map[string]any{"tokenEndpoint": "https://GitLab.com/other"},
		},
		"another tenant": {
			before: shop, change: map[string]any{"tenant": "other"}, host: "https://other.myshopify.com",
		},
		"any tenant": {
			before: shop, change: map[string]any{"tenant": ""}, host: "https://{shop}.myshopify.com",
		},
		"another realm": {
			before: realm, change: map[string]any{"tenant": "sso.example/realms/b"},
			host: "sso.example/realms/b",
		},
		"a name": {before: shop, change: map[string]any{"name": "a shop"}},
		// The authorization endpoint is never sent the secret.
		"authorization endpoint": {
			before: preset, change: map[string]any{"authorizeEndpoint": "https://evil.example/"},
		},
		"with a new secret": {
			change: map[string]any{"tokenEndpoint": "https://o.example/token", "clientSecret": testSecret},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defaults := withKey
			defaults.AllowHTTP = true
			f := newFixture(t, defaults)
			f.add("one", test.before)
			err := f.change("one", test.change)
			if test.host != "" {
				expectError(t, err, "must be entered again, since it would now be sent to "+test.host)
			} else if err != nil || f.mustFind("one").ClientSecret != testSecret {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A sealed secret is bound to its row, and one that does not open is not kept by a save.
func TestSecretThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.add("one", nil)
	f.add("two", nil)
	f.execute("UPDATE plugins SET sealedSecret = (SELECT sealedSecret FROM plugins WHERE slug = 'one') " +
		"WHERE slug = 'two'")
	next := f.reopen(testKey)
	one, two := next.mustFind("one"), next.mustFind("two")
	if one.State != Available || two.State != SecretUnreadable {
		t.Errorf("the states are %d and %d", one.State, two.State)
	}
	sealed := f.stored("two")["sealedSecret"].String
	err := f.change("two", map[string]any{"name": "x"})
	expectError(t, err, "must be entered again, since it does not open with this ENCRYPTION_KEY")
	// One that is switched off can wait for the right key.
	if err := f.change("two", map[string]any{"enabled": false}); err != nil {
		t.Error(err)
	}
	if f.stored("two")["sealedSecret"].String != sealed {
		t.Error("the sealed secret was changed")
	}
	if err := f.change("two", map[string]any{"enabled": true, "clientSecret": testSecret}); err != nil {
		t.Error(err)
	}
	if f.mustFind("two").State != Available {
		t.Error("it cannot be used, though the secret was entered again")
	}
}

// A save of a record that was loaded before another save does not send the new secret to the old host.
func TestStaleSave(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	stale := f.add("one", nil)
	changes := map[string]any{"tokenEndpoint": "https://good.example/token", "clientSecret": "real secret"}
	if err := f.change("one", changes); err != nil {
		t.Fatal(err)
	}
	stale.Set("name", "stale")
	expectError(t, f.app.Save(stale), "since it would now be sent to https://p.example")
	stored, err := f.app.FindRecordById("plugins", stale.Id)
	if err != nil {
		t.Fatal(err)
	}
	if stored.GetString("tokenEndpoint") != "https://good.example/token" || stored.GetString("name") != "" {
		t.Errorf("stored is %v", stored)
	}
}

// Either both the record and its secret are stored, or neither.
func TestSecretThatCannotBeStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	f.execute("CREATE TRIGGER full BEFORE UPDATE ON plugins BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
	if _, err := f.create(fields("one", nil)); err == nil {
		t.Error("it is saved")
	}
	if count, err := f.app.CountRecords("plugins"); count != 0 || err != nil {
		t.Errorf("there are %d records, %v", count, err)
	}
	if plugin, err := f.Find("one"); plugin != nil || err != nil {
		t.Errorf("got %v, %v", plugin, err)
	}
}

// A public client is saved without a secret, and without a key. One that it had is erased, and is entered
// again if it is public no more.
func TestPublicClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Defaults{PublicURL: withKey.PublicURL})
	f.add("public", map[string]any{"tokenAuth": "none", "clientSecret": ""})
	if plugin := f.mustFind("public"); plugin.State != Available || plugin.ClientSecret != "" {
		t.Errorf("it is %+v", plugin)
	}
	if err := f.change("public", map[string]any{"scope": "read"}); err != nil {
		t.Error(err)
	}

	f = newFixture(t, withKey)
	f.add("one", nil)
	if err := f.change("one", map[string]any{"tokenAuth": "none", "pkce": "off"}); err == nil {
		t.Error("it is public without PKCE")
	}
	change := map[string]any{"tokenAuth": "none", "tokenEndpoint": "https://other.example/token"}
	if err := f.change("one", change); err != nil {
		t.Fatal(err)
	}
	row := f.stored("one")
	if sealed := sealedIn(row); len(sealed) > 0 || row["clientSecret"].String != "" {
		t.Errorf("a secret is kept: %q, %q", sealed, row["clientSecret"].String)
	}
	if plugin := f.reopen(otherKey).mustFind("one"); plugin.State != Available {
		t.Errorf("it is %+v", plugin)
	}
	for _, secret := range []string{"", secretDots} {
		err := f.change("one", map[string]any{"tokenAuth": "body", "clientSecret": secret})
		expectError(t, err, "must be entered again, since a public client has none stored")
	}
	change = map[string]any{"tokenAuth": "body", "clientSecret": testSecret}
	if err := f.change("one", change); err != nil {
		t.Fatal(err)
	}
	if plugin := f.mustFind("one"); plugin.ClientSecret != testSecret || plugin.State != Available {
		t.Errorf("it is %+v", plugin)
	}
}

// A save is refused with a scope that the provider does not take. A plugin that was saved before goes on.
func TestScopeInTheForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, withKey)
	google := map[string]any{
		"provider": "google", "scope": "openid,email", "authorizeEndpoint": "", "tokenEndpoint": "",
	}
	_, err := f.create(fields("one", google))
	expectError(t, err, "must have spaces between the scopes, not commas, for Google")
	google["scope"] = "openid email"
	f.add("one", google)
	f.execute("UPDATE plugins SET scope = 'openid,email'")
	if plugin := f.reopen(testKey).mustFind("one"); plugin.State != Available {
		t.Errorf("it is %s", plugin.Reason())
	}
	if err := f.change("one", map[string]any{"enabled": false}); err != nil {
		t.Errorf("it cannot be switched off: %v", err)
	}
	if err := f.change("one", map[string]any{"scope": "openid"}); err != nil {
		t.Error(err)
	}
	err = f.change("one", map[string]any{"scope": "openid,email"})
	expectError(t, err, "must have spaces between the scopes, not commas, for Google")
}

// The fields of this version come and go, and the plugins stay. It runs while no other test starts an app,
// since PocketBase sorts its list of migrations in place.
func TestMigrationOfSettings(t *testing.T) {
	f := newFixture(t, withKey)
	f.add("one", map[string]any{"tokenParams": "a=b", "tokenFormat": "json"})
	f.add("public", map[string]any{"tokenAuth": "none", "clientSecret": ""})
	f.add("sealed", map[string]any{"tokens": "sealed", "apiHosts": "api.example"})
	runner := core.NewMigrationsRunner(f.app, core.AppMigrations)
	fieldsNow := func() string {
		collection, err := f.app.FindCollectionByNameOrId("plugins")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(collection.Fields.FieldNames(), " ")
	}
	after := fieldsNow()
	for _, name := range formOrder {
		if !slices.Contains(strings.Fields(after), name) {
			t.Errorf("the form has no field %s", name)
		}
	}
	const later = 4 // migrations that have come since
	if _, err := runner.Down(1 + later); err != nil {
		t.Fatal(err)
	}
	if before := fieldsNow(); strings.Contains(before, "tokenParams") || !strings.Contains(before, "pkce") {
		t.Errorf("the version before has %s", before)
	}
	if plugin := f.reopen(testKey).mustFind("one"); plugin.State != Available {
		t.Errorf("without the fields, it is %s", plugin.Reason())
	}
	if _, err := runner.Up(); err != nil {
		t.Fatal(err)
	}
	if again := fieldsNow(); again != after {
		t.Errorf("the fields are %s, not %s", again, after)
	}
	if err := f.change("public", map[string]any{"tokenAuth": "none"}); err != nil {
		t.Error(err)
	}
}

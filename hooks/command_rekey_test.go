package hooks

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/internal/testkit"
)

const otherEncryptionKey = "another-key-with-32-characters!!"

// keyed is the program with two plugins whose client secrets are sealed under testEncryptionKey.
type keyed struct {
	*testkit.Process

	environment []string // without a key
	one, two    *testkit.Backend
}

func newKeyed(t *testing.T) *keyed {
	t.Helper()
	k := &keyed{Process: testkit.NewProcess(t)}
	k.environment = append(k.Env, testkit.SuperuserEnv()...)
	k.restart("ENCRYPTION_KEY=" + testEncryptionKey)
	k.one, k.two = addPlugin(k.Backend, "one", nil), addPlugin(k.Backend, "two", nil)
	return k
}

// restart starts the program again, with another key.
func (k *keyed) restart(variables ...string) {
	k.T.Helper()
	k.Terminate()
	k.Env, k.Out = append(slices.Clone(k.environment), variables...), &testkit.Printed{}
	k.Start()
	if strings.Contains(k.Out.String(), testkit.ClientSecret) {
		k.T.Errorf("printed:\n%s", k.Out)
	}
}

// works reports whether people can sign in.
func works(b *testkit.Backend) bool {
	b.T.Helper()
	got := b.Post("/authorize")
	if got.Status != http.StatusOK {
		b.ExpectError("authorize", got, http.StatusServiceUnavailable, "temporarily_unavailable")
		if !strings.Contains(got.Body, "ENCRYPTION_KEY") {
			b.T.Errorf("it does not say what to do: %s", got.Body)
		}
		return false
	}
	page, _ := b.Login()
	b.ExpectPage("login", page, http.StatusOK, "You are signed in")
	return true
}

// pluginID returns the id of a plugin's record.
func pluginID(b *testkit.Backend, slug string) string {
	b.T.Helper()
	var list struct{ Items []struct{ ID, Slug string } }
	readJSON(b, "/api/collections/plugins/records", &list)
	for _, item := range list.Items {
		if item.Slug == slug {
			return item.ID
		}
	}
	b.T.Fatalf("there is no plugin %s", slug)
	return ""
}

// A start with another key, or none, names the plugins that cannot be used; the others work.
func TestEncryptionKey(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	if !works(k.one) || !works(k.two) || strings.Contains(k.Out.String(), "cannot be read") {
		t.Errorf("with its key it does not work:\n%s", k.Out)
	}
	for _, test := range []struct{ name, key, why string }{
		{name: "another", key: otherEncryptionKey, why: "is not the one that they were saved under"},
		{name: "none", why: "is not set"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k.restart("ENCRYPTION_KEY=" + test.key)
			if works(k.one) || works(k.two) || !works(k.Backend) {
				t.Error("the wrong ones work")
			}
			want := `level=ERROR msg="ENCRYPTION_KEY ` + test.why +
				`, so the client secrets of these plugins cannot be read: one, two"`
			if printed := k.Out.String(); strings.Count(printed, want) != 1 {
				t.Errorf("printed\n%s", printed)
			}
		})
	}
}

// The command seals all client secrets under a new key, or says why not and changes nothing.
func TestRekeyCommand(t *testing.T) {
	t.Parallel()
	k := newKeyed(t)
	// If the secret of one plugin is entered again under the other key, that plugin works.
	k.restart("ENCRYPTION_KEY=" + otherEncryptionKey)
	entered := map[string]any{"clientSecret": testkit.ClientSecret}
	if got := k.UpdatePlugin(pluginID(k.Backend, "one"), entered); got.Status != http.StatusOK {
		t.Fatal(got.Body)
	}
	if !works(k.one) || works(k.two) {
		t.Error("the secret that was entered again is not used")
	}
	k.Terminate()

	const another = "NEW_ENCRYPTION_KEY must be set to another key with 32 characters; " +
		"make one with: openssl rand -base64 24\n"
	for _, test := range []struct{ name, oldKey, newKey, want string }{
		{name: "no old key", newKey: testEncryptionKey, want: "ENCRYPTION_KEY must be the key"},
		{name: "no new key", oldKey: otherEncryptionKey, want: another},
		{name: "the same key", oldKey: otherEncryptionKey, newKey: otherEncryptionKey, want: another},
		{name: "a long key", oldKey: otherEncryptionKey, newKey: otherEncryptionKey + "x", want: another},
		{
			name: "a guessable new key", oldKey: otherEncryptionKey, newKey: strings.Repeat("a", 32),
			want: "NEW_ENCRYPTION_KEY must not be one character over and over again; " +
				"make one with: openssl rand -base64 24\n",
		},
		{
			// Otherwise nobody could get away from it.
			name: "a guessable old key", oldKey: strings.Repeat("a", 32), newKey: testEncryptionKey,
			want: "ENCRYPTION_KEY does not open the client secrets of one; ",
		},
		{
			name: "a wrong old key", oldKey: otherEncryptionKey, newKey: "yet another with 32 characters!!",
			want: "ENCRYPTION_KEY does not open the client secrets of two; " +
				"enter them again in the dashboard, or delete these plugins. Nothing was changed\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, code := k.rekey(plugins.Rekeying{OldKey: test.oldKey, NewKey: test.newKey})
			if code != 1 || !strings.HasPrefix(out, "plugin-oauth: "+test.want) {
				t.Errorf("exit %d\n%s", code, out)
			}
		})
	}
	// The secret of two is under the new key already.
	const done = "2 client secrets are sealed under NEW_ENCRYPTION_KEY."
	change := plugins.Rekeying{OldKey: otherEncryptionKey, NewKey: testEncryptionKey}
	if out, code := k.rekey(change); code != 0 || !strings.HasPrefix(out, done) ||
		!strings.Contains(out, "set OLD_ENCRYPTION_KEY to the key before") {
		t.Errorf("exit %d\n%s", code, out)
	}
	k.restart("ENCRYPTION_KEY=" + testEncryptionKey)
	if !works(k.one) || !works(k.two) {
		t.Errorf("after rekey:\n%s", k.Out)
	}
}

// rekey runs the command.
func (k *keyed) rekey(change plugins.Rekeying) (printed string, code int) {
	k.T.Helper()
	keys := []string{"ENCRYPTION_KEY=" + change.OldKey, "NEW_ENCRYPTION_KEY=" + change.NewKey}
	k.Env = slices.Concat(k.environment, keys)
	return k.Run("rekey")
}

// Without a database, the command says so, and makes none.
func TestRekeyElsewhere(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Env = append(p.Env, "ENCRYPTION_KEY="+testEncryptionKey, "NEW_ENCRYPTION_KEY="+otherEncryptionKey)
	const want = "plugin-oauth: there is no database in elsewhere yet; start the service once with " +
		"plugin-oauth serve, or choose the right folder with --dir\n"
	if out, code := p.Run("rekey", "--dir", "elsewhere"); code != 1 || out != want {
		t.Errorf("exit %d\n%s", code, out)
	}
	if entries, err := os.ReadDir(p.Dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if err := os.CopyFS(filepath.Join(p.Dir, "elsewhere"), os.DirFS(testkit.MigratedDir(t))); err != nil {
		t.Fatal(err)
	}
	const none = "there is no client secret in elsewhere; choose the right folder with --dir. " +
		"Without plugins in the dashboard the key may be changed without this command\n"
	if out, code := p.Run("rekey", "--dir", "elsewhere"); code != 1 || !strings.HasSuffix(out, none) {
		t.Errorf("exit %d\n%s", code, out)
	}
}

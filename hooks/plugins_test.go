package hooks

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

const testEncryptionKey = "0123456789abcdef0123456789abcdef"

func withKey(c *Config) { c.EncryptionKey = testEncryptionKey }

// Several plugins in one server, each with a provider, a redirect URI and a client of its own.
func TestManyPlugins(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	sheets := root.add("google-sheets-plugin", func(fields map[string]any) { fields["name"] = "Sheets <1>" })
	notion := root.add("notion", func(fields map[string]any) {
		fields["tokenAuth"], fields["pkce"], fields["authorizeParams"] = "basic", "off", "owner=user"
	})
	for _, s := range []*relayServer{root, sheets, notion, root} {
		s.provider.answers(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"access_token":%q}`, s.url) })
		want := fmt.Sprintf(`{"access_token":%q}`, s.url)
		page, readKey := s.login()
		s.expectPage("login", page, http.StatusOK, "You are signed in")
		s.expect("poll", s.poll(readKey), http.StatusOK, want)
		s.expect("poll again", s.poll(readKey), http.StatusNotFound, bodyUnknown)
		s.expect("refresh", s.post("/refresh?code=RT"), http.StatusOK, want)
		s.expect("index", s.get("/"), http.StatusOK, "plugin-oauth is up and running.\n")
		if s.provider.exchanges() < 2 {
			t.Errorf("%s asked another's provider", s.url)
		}
	}
	if page, _ := sheets.login(); !strings.Contains(page.body, "Sheets &lt;1&gt;") {
		t.Errorf("the page does not name the plugin:\n%s", page.body)
	}
	plugins := map[string]int{}
	records, err := root.app.FindAllRecords("sessions")
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		plugins[record.GetString("plugin")]++
	}
	if plugins[""] != 2 || plugins["google-sheets-plugin"] != 2 || plugins["notion"] != 1 {
		t.Errorf("the sessions are of %v", plugins)
	}
}

// Without a plugin from the environment, those of the dashboard work all the same.
func TestPluginsWithoutTheEnvironments(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) {
		c.Plugin, c.EncryptionKey, c.PublicURL = nil, testEncryptionKey, "https://backend.example/"
	})
	root.expect("index", root.get("/"), http.StatusOK, "plugin-oauth is running. "+HowToAddPlugin+"\n")
	s := root.add("only", nil)
	root.expect("index", root.get("/"), http.StatusOK, "plugin-oauth is up and running.\n")
	root.expectError("root", root.post("/authorize"), http.StatusServiceUnavailable, "temporarily_unavailable")
	authorizationURL, _ := s.authorize()
	if got := authorizationURL.Query().Get("redirect_uri"); got != "https://backend.example/only/redirect" {
		t.Errorf("the redirect URI is %s", got)
	}
}

// A login that began at one plugin goes on at no other, and nothing is sent to the other's provider
// (RFC 9700 section 4.4).
func TestMixUp(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	one, two := root.add("one", nil), root.add("two", nil)
	servers := []*relayServer{root, one, two}
	for _, begun := range servers {
		authorizationURL, readKey := begun.authorize()
		callback := begun.agree(authorizationURL)
		_, query, _ := strings.Cut(callback, "?")
		for _, other := range servers {
			if other != begun {
				other.expectPage("redirect", other.get("/redirect?"+query), http.StatusBadRequest, "not known here")
				other.expect("poll", other.poll(readKey), http.StatusNotFound, bodyUnknown)
			}
		}
		begun.expect("poll", begun.poll(readKey), http.StatusNotFound, bodyPending)
		begun.expectPage("redirect", begun.get(callback), http.StatusOK, "You are signed in")
		for _, other := range servers {
			if other != begun {
				other.expect("poll", other.poll(readKey), http.StatusNotFound, bodyUnknown)
			}
		}
		begun.expect("poll", begun.poll(readKey), http.StatusOK, tokenResponse)
		if begun.provider.exchanges() != 1 {
			t.Errorf("%d exchanges", begun.provider.exchanges())
		}
	}
	// A refresh token goes to the provider of the plugin that it is sent to, which knows it by its client
	// (RFC 6749 section 10.4), and to no other.
	asked := one.provider.exchanges()
	two.provider.answers(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
	})
	two.expect("refresh", two.post("/refresh?code=of-one"), http.StatusBadRequest,
		"invalid_grant: The provider does not accept this sign-in any more. Please sign in again.\n")
	if one.provider.exchanges() != asked {
		t.Error("the other plugin's provider was asked")
	}
}

// A login that began at a plugin is not finished by another one of its name, nor at a provider that it did not begin at.
func TestSlugReused(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(root *relayServer, id string){
		"deleted": func(root *relayServer, id string) {
			root.request(http.MethodDelete, "/api/collections/plugins/records/"+id, "", root.admin)
			root.add("one", nil)
		},
		"renamed": func(root *relayServer, id string) {
			root.save(http.MethodPatch, id, map[string]any{"slug": "old"})
			root.add("one", nil)
		},
		"at another provider": func(root *relayServer, id string) {
			other := newProvider(root.t)
			got := root.save(http.MethodPatch, id, map[string]any{"tokenEndpoint": other.URL + "/token", "clientSecret": testClientSecret})
			if got.status != http.StatusOK {
				root.t.Error(got.body)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			root := serve(t, withKey)
			s := root.add("one", nil)
			authorizationURL, pending := s.authorize()
			page, ready := s.login()
			s.expectPage("login", page, http.StatusOK, "You are signed in")
			callback := s.agree(authorizationURL)
			change(root, root.record("one"))
			s.expectPage("redirect", s.get(callback), http.StatusBadRequest, "not known here")
			s.expect("pending", s.poll(pending), http.StatusNotFound, bodyUnknown)
			s.expect("ready", s.poll(ready), http.StatusNotFound, bodyUnknown)
		})
	}
}

// The answer of another issuer ends the login before the code goes anywhere (RFC 9207 section 2.4).
func TestIssuer(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { withKey(c); c.Plugin.Issuer = "https://provider.example" })
	other := s.add("none", nil)
	for _, test := range []struct {
		s      *relayServer
		query  string
		status int
		words  string
	}{
		{s, "&iss=https%3A%2F%2Fprovider.example", http.StatusOK, "You are signed in"},
		{s, "", http.StatusOK, "You are signed in"}, // few providers send one
		{s, "&iss=https%3A%2F%2Fevil.example", http.StatusBadGateway, "another provider"},
		{s, "&iss=https%3A%2F%2Fprovider.example%2F", http.StatusBadGateway, "another provider"},
		{s, "&error=access_denied&iss=https%3A%2F%2Fevil.example", http.StatusBadGateway, "another provider"},
		{other, "&iss=https%3A%2F%2Fevil.example", http.StatusOK, "You are signed in"},
	} {
		authorizationURL, readKey := test.s.authorize()
		before := test.s.provider.exchanges()
		test.s.expectPage(test.query, test.s.get(test.s.agree(authorizationURL)+test.query), test.status, test.words)
		if test.status != http.StatusOK {
			test.s.expectError(test.query, test.s.poll(readKey), http.StatusBadRequest, "invalid_request")
			if test.s.provider.exchanges() != before {
				t.Error("the code was exchanged")
			}
		}
	}
}

// What the dashboard refuses, it refuses at the field, and says what to do.
func TestPluginFieldErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("taken", nil)
	valid := map[string]any{"slug": "valid", "clientId": "id", "clientSecret": "secret", "provider": "github", "enabled": true}
	for _, test := range []struct{ field, value, want string }{
		{"slug", "", "slug: Must be set"},
		{"slug", "Big", "slug: Must consist of a-z, 0-9 and -"},
		{"slug", "a/b", "slug: Must consist of a-z, 0-9 and -"},
		{"slug", "_", "slug: Must consist of a-z, 0-9 and -"},
		{"slug", "api", "slug: Must be another"},
		{"slug", strings.Repeat("a", 64), "slug: Must consist of"},
		{"slug", " taken\u00a0", "slug: Value must be unique."},
		{"clientId", " ", "clientId: Must be set; the provider's developer console shows it."},
		{"clientSecret", "", "clientSecret: Must be set; the provider's developer console shows it."},
		{"clientSecret", secretDots, "clientSecret: Must be entered again; a copy"},
		{"clientSecret", secretDots + "new", "clientSecret: Must be replaced as a whole"},
		{"provider", "netflix", "provider: Must be one that the command plugin-oauth providers lists."},
		{"provider", "githubb", "did you mean github?"},
		{"provider", "", "authorizeEndpoint: Must be set; the provider's documentation has it. Or choose a provider that plugin-oauth knows.\ntokenEndpoint: Must be set"},
		{"authorizeEndpoint", "/authorize", "authorizeEndpoint: Must be an absolute URL that starts with https://"},
		{"authorizeEndpoint", "https://p.example/?state=1", "authorizeEndpoint: Must not carry state"},
		{"authorizeEndpoint", "https://p.example/#", "authorizeEndpoint: Must have neither a fragment"},
		{"tokenEndpoint", "provider.example/token", "tokenEndpoint: Must be an absolute URL"},
		{"tokenEndpoint", "https://:443/token", "tokenEndpoint: Must be an absolute URL"},
		{"tokenEndpoint", "https://{shop}.example/token", "tokenEndpoint: Must not hold a placeholder"},
		{"revokeEndpoint", "ftp://provider.example", "revokeEndpoint: Must be an absolute URL"},
		{"revokeEndpoint", "https://provider.example/{client_id}", "revokeEndpoint: Must not hold a placeholder"},
		{"issuer", "provider", "issuer: Must be an absolute URL"},
		{"redirectUri", "https://backend.example/redirect", "redirectUri: Must end in /valid/redirect, such as https://"},
		{"redirectUri", "valid/redirect", "redirectUri: Must be an absolute URL"},
		{"authorizeParams", "a;b", "authorizeParams: Must be a query string"},
		{"authorizeParams", "a=b#c", "authorizeParams: Must be a query string"},
		{"authorizeParams", "a=b c", "authorizeParams: Must be a query string"},
		{"authorizeParams", "a=b&a=c", "authorizeParams: Must not carry a parameter twice"},
		{"authorizeParams", "client_id=1", "authorizeParams: Must not carry client_id"},
		{"allowedOrigins", "https://a.example, figma", "allowedOrigins: Must be origins such as https://plugin.example, with commas between; number 2 is none."},
		{"allowedOrigins", "https://a.example/path", "allowedOrigins: Must be origins as browsers send them; number 1 is https://a.example."},
		{"pluginId", "https://abc.plugins.framercdn.com", "pluginId: Must be only the id"},
		{"tenant", "shop", "tenant: Must be blank"},
		{"tokenAuth", "header", "tokenAuth: Must be body, basic or basic-secret."},
		{"pkce", "plain", "pkce: Must be on or off."},
	} {
		fields := maps.Clone(valid)
		fields[test.field] = test.value
		if all := s.fieldErrors(s.save(http.MethodPost, "", fields)); !strings.Contains(all, test.want) {
			t.Errorf("%s=%q: %q, want %q", test.field, test.value, all, test.want)
		} else if test.value != "" && strings.Count(all, "\n") != 1 {
			t.Errorf("%s=%q: more than the one thing to mend: %q", test.field, test.value, all)
		}
	}
	reserved := slices.Clone(reservedSlugs)
	for _, route := range s.relay.routes {
		if name := strings.Trim(route.path, "/"); name != "" {
			reserved = append(reserved, name)
		}
	}
	for _, reserved := range reserved {
		fields := maps.Clone(valid)
		fields["slug"] = reserved
		if all := s.fieldErrors(s.save(http.MethodPost, "", fields)); !strings.HasPrefix(all, "slug: Must ") {
			t.Errorf("%s: %q", reserved, all)
		}
	}
	for tenant, want := range map[string]string{"": "tenant: Must be set to yours, such as ", "a.b": "tenant: Must be only the name"} {
		fields := maps.Clone(valid)
		fields["provider"], fields["tenant"] = "auth0", tenant
		if all := s.fieldErrors(s.save(http.MethodPost, "", fields)); !strings.HasPrefix(all, want) {
			t.Errorf("tenant %q: %q", tenant, all)
		}
	}
	if got := s.save(http.MethodPost, "", valid); got.status != http.StatusOK {
		t.Errorf("the valid one is refused: %s", got.body)
	}
	got := s.get("/valid/redirect")
	s.expectPage("its redirect", got, http.StatusBadRequest, "start the sign-in again in the plugin")
}

// fieldErrors returns what a refused save says, a line for each field.
func (s *relayServer) fieldErrors(got answer) string {
	s.t.Helper()
	var refusal struct {
		Data map[string]struct{ Message string }
	}
	if err := json.Unmarshal([]byte(got.body), &refusal); err != nil || got.status != http.StatusBadRequest {
		s.t.Errorf("the save is not refused: %d %s", got.status, got.body)
	}
	var lines strings.Builder
	for _, field := range slices.Sorted(maps.Keys(refusal.Data)) {
		fmt.Fprintf(&lines, "%s: %s\n", field, refusal.Data[field].Message)
	}
	return lines.String()
}

// Without a key and without an address the dashboard says how to get both.
func TestPluginWithoutKeyOrAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin = nil })
	got := s.save(http.MethodPost, "", map[string]any{"slug": "x", "clientId": "id", "clientSecret": "top secret", "provider": "github"})
	if got.status != http.StatusBadRequest || !strings.Contains(got.body, "openssl rand -base64 24") || !strings.Contains(got.body, "PUBLIC_URL") || strings.Contains(got.body, "top secret") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Off, unknown, deleted, renamed: 404 with words, and a change is live with the next request.
func TestPluginIsLiveAtOnce(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", func(fields map[string]any) { fields["pluginId"] = "xyz" })
	id := root.record("one")
	change := func(fields map[string]any) {
		t.Helper()
		if got := root.save(http.MethodPatch, id, fields); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	s.authorize()
	change(map[string]any{"scope": "other scope"})
	authorizationURL, readKey := s.authorize()
	if got := authorizationURL.Query().Get("scope"); got != "other scope" {
		t.Errorf("the scope is %q", got)
	}
	change(map[string]any{"enabled": false})
	for _, path := range []string{"/authorize", "/poll?readKey=" + readKey, "/revoke?token=x"} {
		got := s.request(http.MethodPost, path, "", "Origin: https://xyz.plugins.framercdn.com")
		s.expectError(path, got, http.StatusNotFound, "not_found")
		if !strings.Contains(got.body, "switched off") || got.header.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%s: the plugin cannot read why: %v %s", path, got.header, got.body)
		}
	}
	s.expect("refresh", s.post("/refresh?code=x"), http.StatusNotFound, "not_found: This plugin is switched off. Its admin can enable it in the dashboard.\n")
	s.expectPage("redirect", s.get("/redirect?code=x&state=y"), http.StatusNotFound, "switched off")
	change(map[string]any{"enabled": true})
	s.expect("poll", s.poll(readKey), http.StatusNotFound, bodyPending)
	change(map[string]any{"slug": "two"})
	s.expectError("the old slug", s.post("/authorize"), http.StatusNotFound, "not_found")
	if got := root.post("/two/authorize"); got.status != http.StatusOK {
		t.Errorf("the new slug: %d", got.status)
	}
	if got := root.request(http.MethodDelete, "/api/collections/plugins/records/"+id, "", root.admin); got.status != http.StatusNoContent {
		t.Fatal(got)
	}
	root.expectError("deleted", root.post("/two/authorize"), http.StatusNotFound, "not_found")
	root.expectPage("deleted", root.request(http.MethodGet, "/two/redirect?code=x&state=y", "", "Accept: text/html"), http.StatusNotFound, "no such address")
}

// Saves race logins: whoever asks after a save has been answered sees it, and no login is lost.
func TestSavesRaceLogins(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", nil)
	id := root.record("one")
	stop := make(chan struct{})
	var logins sync.WaitGroup
	for range 6 {
		logins.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := s.post("/authorize"); got.status != http.StatusOK {
					t.Errorf("authorize: %d %s", got.status, got.body)
				}
			}
		})
	}
	logins.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			page, readKey := s.login()
			s.expectPage("login", page, http.StatusOK, "You are signed in")
			s.expect("poll", s.poll(readKey), http.StatusOK, tokenResponse)
		}
	})
	deadline := time.Now().Add(3 * time.Second)
	for i := 0; time.Now().Before(deadline); i++ {
		name := fmt.Sprint("name ", i)
		if got := root.save(http.MethodPatch, id, map[string]any{"name": name}); got.status != http.StatusOK {
			t.Fatalf("save %d: %d %s", i, got.status, got.body)
		}
		if got := s.get("/redirect"); !strings.Contains(got.body, name) {
			t.Fatalf("after save %d the page is an old one", i)
		}
	}
	close(stop)
	logins.Wait()
}

// A save that ends while the records are read is not lost to what was read before it.
func TestSaveDuringARead(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", nil)
	id, plugins := root.record("one"), root.relay.plugins
	before, err := plugins.all()
	if err != nil {
		t.Fatal(err)
	}
	plugins.mu.Lock() // a request has begun to read
	saved := make(chan answer, 1)
	go func() { saved <- root.save(http.MethodPatch, id, map[string]any{"scope": "new"}) }()
	time.Sleep(300 * time.Millisecond)
	plugins.loaded.Store(&before) // and keeps what it has read
	plugins.mu.Unlock()
	if got := <-saved; got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if authorizationURL, _ := s.authorize(); authorizationURL.Query().Get("scope") != "new" {
		t.Error("the plugin is an old one")
	}
}

// The client secret can be entered and replaced, and seen nowhere.
func TestClientSecretIsWriteOnly(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", nil)
	id := root.record("one")
	records := "/api/collections/plugins/records"
	shown := []answer{
		root.request(http.MethodGet, records, "", root.admin),
		root.request(http.MethodGet, records+"/"+id, "", root.admin),
		root.request(http.MethodGet, records+"?filter=clientSecret!=''&fields=*,clientSecret,sealedSecret", "", root.admin),
		root.request(http.MethodGet, records+"?sort=sealedSecret", "", root.admin),
		root.save(http.MethodPatch, id, map[string]any{"clientSecret": testClientSecret}),
		root.save(http.MethodPatch, id, map[string]any{"clientSecret": testClientSecret, "slug": "API"}), // refused
		root.request(http.MethodGet, "/api/collections/plugins", "", root.admin),                         // what an export has
		{body: root.logged()},
	}
	for i, got := range shown {
		var values any
		_ = json.Unmarshal([]byte(got.body), &values)
		if text := got.body + fmt.Sprint(values); strings.Contains(text, testClientSecret) || (i < 7 && strings.Contains(text, "sealedSecret")) {
			t.Errorf("answer %d shows the secret: %s", i, got.body)
		}
	}
	if !strings.Contains(shown[1].body, secretDots) {
		t.Errorf("the form does not show that there is a secret: %s", shown[1].body)
	}
	for _, request := range []string{"GET " + records, "GET " + records + "/" + id, "POST " + records, "PATCH " + records + "/" + id, "DELETE " + records + "/" + id} {
		method, path, _ := strings.Cut(request, " ")
		if got := root.request(method, path, `{}`, "Content-Type: application/json"); got.status != http.StatusForbidden {
			t.Errorf("a stranger's %s: %d", request, got.status)
		}
	}

	// The whole form as it was shown, the form without the field, and the field left blank keep it.
	var form map[string]any
	if err := json.Unmarshal([]byte(shown[1].body), &form); err != nil {
		t.Fatal(err)
	}
	for _, fields := range []map[string]any{form, {"name": "new"}, {"clientSecret": ""}, {"clientSecret": " "}} {
		if got := root.save(http.MethodPatch, id, fields); got.status != http.StatusOK {
			t.Fatalf("%v: %d %s", fields, got.status, got.body)
		}
		page, _ := s.login()
		s.expectPage("login", page, http.StatusOK, "You are signed in")
	}
	root.save(http.MethodPatch, id, map[string]any{"clientSecret": "another"})
	authorizationURL, _ := s.authorize()
	s.get(s.agree(authorizationURL))
	s.provider.mu.Lock()
	if len(s.provider.refusals) != 1 || !strings.Contains(s.provider.refusals[0], "did not authenticate") {
		t.Errorf("the new secret is not used: %v", s.provider.refusals)
	}
	s.provider.refusals = nil
	s.provider.mu.Unlock()
}

// An admin cannot have a secret that he cannot read sent to a server of his own.
func TestClientSecretStaysWithItsHosts(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("own", nil)
	if got := s.save(http.MethodPost, "", map[string]any{"slug": "preset", "clientId": "id", "clientSecret": "secret", "provider": "gitlab"}); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got := s.save(http.MethodPost, "", map[string]any{"slug": "shop", "clientId": "id", "clientSecret": "secret", "provider": "shopify", "tenant": "my-store"}); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	for _, test := range []struct {
		slug   string
		fields map[string]any
		host   string
	}{
		{"own", map[string]any{"tokenEndpoint": "https://evil.example/token"}, "https://evil.example"},
		{"own", map[string]any{"revokeEndpoint": "https://evil.example/revoke"}, "https://evil.example"},
		{"own", map[string]any{"tokenEndpoint": "", "provider": "gitlab"}, "https://gitlab.com"},
		{"preset", map[string]any{"tokenEndpoint": "http://gitlab.com/oauth/token"}, "http://gitlab.com"},
		{"preset", map[string]any{"provider": "notion"}, "https://api.notion.com"},
		{"preset", map[string]any{"tokenEndpoint": "https://gitlab.com/other"}, ""},
		{"preset", map[string]any{"tokenEndpoint": "https://GitLab.com/other"}, ""},
		{"shop", map[string]any{"tenant": "other"}, "https://other.myshopify.com"},
		{"shop", map[string]any{"tenant": ""}, "https://{shop}.myshopify.com"},
		{"shop", map[string]any{"name": "a shop"}, ""},
		{"preset", map[string]any{"authorizeEndpoint": "https://evil.example/"}, ""}, // it is sent no secret
		{"preset", map[string]any{"tokenEndpoint": "https://other.example/token", "clientSecret": "new"}, ""},
	} {
		got := s.save(http.MethodPatch, s.record(test.slug), test.fields)
		if test.host == "" && got.status != http.StatusOK {
			t.Errorf("%v: %d %s", test.fields, got.status, got.body)
		}
		if test.host != "" && (got.status != http.StatusBadRequest || !strings.Contains(got.body, "would now be sent to "+test.host+".")) {
			t.Errorf("%v: %d %s", test.fields, got.status, got.body)
		}
	}
}

// A sealed secret opens under its key and in its record only.
func TestSealedSecret(t *testing.T) {
	sealed, err := sealSecret(testEncryptionKey, "record", "github", "secret")
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := openSecret(testEncryptionKey, "record", "github", sealed); err != nil || opened != "secret" {
		t.Errorf("%q, %v", opened, err)
	}
	again, _ := sealSecret(testEncryptionKey, "record", "github", "secret")
	if string(again) == string(sealed) {
		t.Error("the same nonce was used twice")
	}
	for what, opened := range map[string]func() (string, error){
		"another record": func() (string, error) { return openSecret(testEncryptionKey, "other", "github", sealed) },
		"another host":   func() (string, error) { return openSecret(testEncryptionKey, "record", "https://evil.example", sealed) },
		"another key": func() (string, error) {
			return openSecret(strings.ToUpper(testEncryptionKey), "record", "github", sealed)
		},
		"no key":         func() (string, error) { return openSecret("", "record", "github", sealed) },
		"nothing sealed": func() (string, error) { return openSecret(testEncryptionKey, "record", "github", nil) },
	} {
		if secret, err := opened(); err == nil || secret != "" {
			t.Errorf("%s: %q, %v", what, secret, err)
		}
	}
	if _, err := sealSecret(testEncryptionKey[:16], "record", "github", "secret"); err == nil {
		t.Error("a short key seals")
	}
}

// A secret in the database is bound to its row.
func TestSealedSecretMovedToAnotherRow(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	one, two := root.add("one", nil), root.add("two", nil)
	if _, err := root.app.DB().NewQuery("UPDATE plugins SET sealedSecret = (SELECT sealedSecret FROM plugins WHERE slug = 'one') WHERE slug = 'two'").Execute(); err != nil {
		t.Fatal(err)
	}
	root.save(http.MethodPatch, root.record("one"), map[string]any{"name": "x"}) // reads the records again
	one.authorize()
	two.expectError("two", two.post("/authorize"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

// All secrets are sealed under the new key, or none.
func TestRekey(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	root.add("one", nil)
	root.add("two", nil)
	const newKey = "another-key-with-32-characters!!"
	opens := func(key string) (slugs string) {
		for _, slug := range []string{"one", "two"} {
			row := dbx.NullStringMap{}
			if err := root.app.DB().NewQuery("SELECT * FROM plugins WHERE slug = '" + slug + "'").One(&row); err != nil {
				t.Fatal(err)
			}
			plugin := pluginOfRow(row)
			if secret, err := openSecret(key, plugin.id, plugin.destination(), []byte(row["sealedSecret"].String)); err == nil && secret == testClientSecret {
				slugs += slug
			}
		}
		return slugs
	}
	if _, err := rekey(root.app, newKey, testEncryptionKey[1:]+"x"); err == nil || opens(testEncryptionKey) != "onetwo" {
		t.Errorf("a wrong old key: %v, %s", err, opens(testEncryptionKey))
	}
	if count, err := rekey(root.app, testEncryptionKey, newKey); err != nil || count != 2 || opens(newKey) != "onetwo" || opens(testEncryptionKey) != "" {
		t.Errorf("%d, %v, %s", count, err, opens(newKey))
	}
	if count, err := rekey(root.app, testEncryptionKey, newKey); err != nil || count != 2 || opens(newKey) != "onetwo" {
		t.Errorf("once more: %d, %v", count, err)
	}
	if _, err := root.app.DB().NewQuery("UPDATE plugins SET sealedSecret = x'00' WHERE slug = 'two'").Execute(); err != nil {
		t.Fatal(err)
	}
	if _, err := rekey(root.app, newKey, testEncryptionKey); err == nil || !strings.Contains(err.Error(), "two") || opens(newKey) != "one" {
		t.Errorf("a spoilt one: %v, %s", err, opens(newKey))
	}
}

// However a record is saved, its secret is not in its row.
func TestClientSecretSavedByCode(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	collection, err := s.app.FindCollectionByNameOrId("plugins")
	if err != nil {
		t.Fatal(err)
	}
	record := core.NewRecord(collection)
	record.Load(map[string]any{"slug": "code", "clientId": "id", "clientSecret": testClientSecret, "provider": "github", "enabled": true})
	if err := s.app.SaveNoValidate(record); err != nil {
		t.Fatal(err)
	}
	var stored string
	if err := s.app.DB().NewQuery("SELECT clientSecret FROM plugins").Row(&stored); err != nil || stored != secretDots {
		t.Errorf("%q, %v", stored, err)
	}
	if got := s.post("/code/authorize"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What somebody changes behind the service's back, in the database itself, gets him no secret.
func TestPluginChangedInTheDatabase(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	for change, words := range map[string]string{
		"tokenEndpoint = 'https://evil.example/token'":   "client secret cannot be read",
		"revokeEndpoint = 'https://evil.example/revoke'": "client secret cannot be read",
		"provider = 'github', tokenEndpoint = ''":        "client secret cannot be read",
		"clientId = ''": "field clientId must be set",
	} {
		s := root.add("one", nil)
		if _, err := root.app.DB().NewQuery("UPDATE plugins SET " + change).Execute(); err != nil {
			t.Fatal(err)
		}
		root.save(http.MethodPost, "", map[string]any{"slug": "other", "clientId": "x", "clientSecret": "x", "provider": "github"}) // reads all again
		got := s.post("/refresh?code=x")
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, words) {
			t.Errorf("%s: %d %s", change, got.status, got.body)
		}
		line, err := (&plugins{app: root.app, config: Config{EncryptionKey: testEncryptionKey, PublicURL: root.url}}).unusable()
		if err != nil || !strings.Contains(line, "one") || strings.Contains(line, "other") || strings.Contains(line, "\n") {
			t.Errorf("%s: the start says %q, %v", change, line, err)
		}
		if got := root.save(http.MethodPatch, root.record("one"), map[string]any{"name": "x"}); got.status != http.StatusBadRequest {
			t.Errorf("%s: the secret is kept: %d %s", change, got.status, got.body)
		}
		if got := root.request(http.MethodDelete, "/api/collections/plugins/records/"+root.record("one"), "", root.admin); got.status != http.StatusNoContent {
			t.Fatal(got.body)
		}
	}
}

// A save that was begun before another one does not lead the new secret to the old host.
func TestStaleSave(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("one", nil)
	stale, err := s.app.FindFirstRecordByData("plugins", "slug", "one")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{"tokenEndpoint": "https://good.example/token", "clientSecret": "real secret"}
	if got := s.save(http.MethodPatch, stale.Id, fields); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	stale.Set("name", "stale")
	if err := s.app.Save(stale); err == nil || !strings.Contains(err.Error(), "must be entered again") {
		t.Errorf("got %v", err)
	}
	stored, err := s.app.FindRecordById("plugins", stale.Id)
	if err != nil || stored.GetString("tokenEndpoint") != "https://good.example/token" || stored.GetString("name") != "" {
		t.Errorf("stored: %v, %v", stored, err)
	}
}

// Record and secret are stored together, or neither.
func TestSecretThatCannotBeStored(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	if _, err := s.app.DB().NewQuery("CREATE TRIGGER full BEFORE UPDATE ON plugins BEGIN SELECT RAISE(ABORT, 'disk is full'); END").Execute(); err != nil {
		t.Fatal(err)
	}
	got := s.save(http.MethodPost, "", map[string]any{"slug": "one", "clientId": "id", "clientSecret": "secret", "provider": "github", "enabled": true})
	if count, err := s.app.CountRecords("plugins"); got.status != http.StatusBadRequest || count != 0 || err != nil {
		t.Errorf("%d %s, %d records, %v", got.status, got.body, count, err)
	}
	s.expectError("authorize", s.post("/one/authorize"), http.StatusNotFound, "not_found")
}

// Values are read as people write them.
func TestNewPlugin(t *testing.T) {
	plugin := newPlugin(func(field string) string {
		return map[string]string{"provider": " Google ", "tokenAuth": "BASIC", "pkce": "Off", "authorizeParams": "?a=b", "scope": "\tRead, Write\n"}[field]
	})
	if plugin.Provider != "google" || plugin.TokenAuth != "basic" || plugin.PKCE != "off" || plugin.AuthorizeParams != "a=b" || plugin.Scope != "Read, Write" {
		t.Errorf("got %+v", plugin)
	}
}

// A plugin that is judged valid makes an authorization URL at its own endpoint, with each of our parameters once and
// unchanged, and sends its secret to absolute http(s) addresses only.
func FuzzPlugin(f *testing.F) {
	f.Add("google", "", "", "", "", "id", "read write", "prompt=none", "")
	f.Add("shopify", "my-store", "", "", "", "id&x=1", "a,b", "", "null, https://a.example")
	f.Add("", "", "https://p.example/authorize?owner=user", "http://p.example/token", "https://p.example/revoke", "id", "", "a=b&c=d", "*")
	f.Add("auth0", "tenant", "https://p.example:8443/a?b#c", "https://{tenant}.example/", "https://u:p@h/", "#", "\n", "?state=1", "https://a.example/")
	f.Fuzz(func(t *testing.T, provider, tenant, authorizeEndpoint, tokenEndpoint, revokeEndpoint, clientID, scope, authorizeParams, allowedOrigins string) {
		fields := map[string]string{
			"slug": "fuzz", "provider": provider, "tenant": tenant, "authorizeEndpoint": authorizeEndpoint, "tokenEndpoint": tokenEndpoint,
			"revokeEndpoint": revokeEndpoint, "clientId": clientID, "clientSecret": "secret", "scope": scope, "authorizeParams": authorizeParams, "allowedOrigins": allowedOrigins,
		}
		entered := newPlugin(func(field string) string { return fields[field] })
		plugin := entered.complete(Config{PublicURL: "https://backend.example"})
		if again := plugin.complete(Config{PublicURL: "https://backend.example"}); again.AuthorizeParams != plugin.AuthorizeParams || again.refreshEndpoint != plugin.refreshEndpoint {
			t.Fatalf("completing it twice changes it: %+v", again)
		}
		if len(plugin.validate()) > 0 {
			return
		}
		name := ""
		if plugin.tenant != nil {
			name = plugin.tenant.Example
		}
		filled, err := plugin.forTenant(name)
		if err != nil && plugin.Tenant == "" {
			t.Fatal(err)
		}
		if err != nil { // the plugin is for another tenant than the example
			if filled, err = plugin.forTenant(""); err != nil {
				t.Fatal(err)
			}
		}
		u, err := url.Parse(filled.authorizationURL("the-state", "the-verifier"))
		if err != nil || u.Host == "" || u.Fragment != "" || !strings.HasPrefix(u.String(), "http") {
			t.Fatalf("%v, %v", u, err)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil {
			t.Fatalf("%s: %v", u, err)
		}
		want := map[string]string{"state": "the-state", "client_id": plugin.ClientID, "redirect_uri": "https://backend.example/fuzz/redirect", "response_type": "code", "scope": plugin.Scope}
		for name, value := range want {
			if value != "" && (len(query[name]) != 1 || query.Get(name) != value) {
				t.Fatalf("%s is %q in %s, want %q", name, query[name], u, value)
			}
		}
		for _, endpoint := range []string{filled.TokenEndpoint, filled.refreshEndpoint, filled.RevokeEndpoint} {
			if endpoint == "" {
				continue
			}
			sent, err := url.Parse(strings.ReplaceAll(endpoint, "{client_id}", "x"))
			if err != nil || sent.Host == "" || (sent.Scheme != "http" && sent.Scheme != "https") || strings.ContainsAny(sent.Host, "{}") {
				t.Fatalf("the secret is sent to %q: %v", endpoint, err)
			}
		}
	})
}

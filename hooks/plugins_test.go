package hooks

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/internal/testkit"
)

// secretDots stand for a client secret wherever an admin sees its record.
const secretDots = "••••••••"

// Several plugins in one server, each with a provider, a redirect URI and a client of its own.
func TestManyPlugins(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	sheets := root.add("google-sheets-plugin", func(fields map[string]any) { fields["name"] = "Sheets <1>" })
	notion := root.add("notion", func(fields map[string]any) {
		fields["tokenAuth"], fields["pkce"], fields["authorizeParams"] = "basic", "off", "owner=user"
	})
	for _, s := range []*testServer{root, sheets, notion, root} {
		want := fmt.Sprintf(`{"access_token":%q}`, s.URL)
		s.Provider.Answers(answering(http.StatusOK, want))
		page, readKey := s.Login()
		s.ExpectPage("login", page, http.StatusOK, "You are signed in")
		s.Expect("poll", s.Poll(readKey), http.StatusOK, want)
		s.Expect("poll again", s.Poll(readKey), http.StatusNotFound, bodyUnknown)
		s.Expect("refresh", s.Post("/refresh?code=RT"), http.StatusOK, want)
		s.Expect("index", s.Get("/"), http.StatusOK, "plugin-oauth is up and running.\n")
		if s.Provider.Exchanges() < 2 {
			t.Errorf("%s asked another's provider", s.URL)
		}
	}
	if page, _ := sheets.Login(); !strings.Contains(page.Body, "Sheets &lt;1&gt;") {
		t.Errorf("the page does not name the plugin:\n%s", page.Body)
	}
	sessions := map[any]int{}
	for _, item := range root.list("sessions") {
		sessions[item["plugin"]]++
	}
	if want := (map[any]int{"": 2, "google-sheets-plugin": 2, "notion": 1}); !maps.Equal(sessions, want) {
		t.Errorf("the sessions are of %v", sessions)
	}
}

// The plugins of the dashboard also work without one from the environment.
func TestDashboardPluginsOnly(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) {
		c.Plugin, c.EncryptionKey, c.PublicURL = nil, testEncryptionKey, "https://backend.example/"
		c.ConfirmLogin = "never"
	})
	const ofNetwork = "\nIt cannot tell which network this request comes from. "
	hidden := ofNetwork + doctor.UnknownPrivate.Text() + " " +
		doctor.UnknownNetwork(doctor.UnknownPrivate).Fix + "\n"
	root.Expect("index", root.Get("/"), http.StatusOK, "plugin-oauth is running. "+HowToAddPlugin+hidden)
	s := root.add("only", nil)
	root.Expect("index", root.Get("/"), http.StatusOK, "plugin-oauth is up and running."+hidden)
	got := root.Post("/authorize")
	root.ExpectError("root", got, http.StatusServiceUnavailable, "temporarily_unavailable")
	authorizationURL, _ := s.Authorize()
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
	servers := []*testServer{root, one, two}
	for _, s := range servers {
		isSame := func(other *testServer) bool { return other == s }
		others := slices.DeleteFunc(slices.Clone(servers), isSame)
		authorizationURL, readKey := s.Authorize()
		callback := s.Agree(authorizationURL)
		_, query, _ := strings.Cut(callback, "?")
		for _, other := range others {
			page := other.Get("/redirect?" + query)
			other.ExpectPage("redirect", page, http.StatusBadRequest, "not known here")
			other.Expect("poll", other.Poll(readKey), http.StatusNotFound, bodyUnknown)
		}
		s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
		s.ExpectPage("redirect", s.Get(callback), http.StatusOK, "You are signed in")
		for _, other := range others {
			other.Expect("poll", other.Poll(readKey), http.StatusNotFound, bodyUnknown)
		}
		s.expectTokens(readKey)
		if s.Provider.Exchanges() != 1 {
			t.Errorf("%d exchanges", s.Provider.Exchanges())
		}
	}
	// A refresh token goes to the provider of the plugin that it is sent to, which knows it by its client
	// (RFC 6749 section 10.4), and to no other.
	asked := one.Provider.Exchanges()
	two.Provider.Answers(answering(http.StatusBadRequest, `{"error":"invalid_grant"}`))
	two.expectTextError(two.Post("/refresh?code=of-one"), http.StatusBadRequest, "invalid_grant")
	if one.Provider.Exchanges() != asked {
		t.Error("the other plugin's provider was asked")
	}
}

// A login that began at a plugin is not finished by another plugin with the same slug, nor at a provider that
// it did not begin at.
func TestSlugReused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(root *testServer, id string){
		"deleted": func(root *testServer, id string) {
			root.deleteRecord("plugins", id)
			root.add("one", nil)
		},
		"renamed": func(root *testServer, id string) {
			root.update(id, map[string]any{"slug": "old"})
			root.add("one", nil)
		},
		"at another provider": func(root *testServer, id string) {
			other := testkit.NewProvider(root.T)
			root.update(id, map[string]any{
				"tokenEndpoint": other.URL + "/token", "clientSecret": testkit.ClientSecret,
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := serve(t, withKey)
			s := root.add("one", nil)
			authorizationURL, pending := s.Authorize()
			page, ready := s.Login()
			s.ExpectPage("login", page, http.StatusOK, "You are signed in")
			callback := s.Agree(authorizationURL)
			change(root, root.record("one"))
			s.ExpectPage("redirect", s.Get(callback), http.StatusBadRequest, "not known here")
			s.Expect("pending", s.Poll(pending), http.StatusNotFound, bodyUnknown)
			s.Expect("ready", s.Poll(ready), http.StatusNotFound, bodyUnknown)
		})
	}
}

// update changes the record of a plugin, which must succeed.
func (s *testServer) update(id string, fields map[string]any) {
	s.T.Helper()
	if got := s.UpdatePlugin(id, fields); got.Status != http.StatusOK {
		s.T.Fatalf("%v: %d %s", fields, got.Status, got.Body)
	}
}

// The answer of another issuer ends the login before the code goes anywhere (RFC 9207 section 2.4).
func TestIssuer(t *testing.T) {
	t.Parallel()
	root := serve(t, func(c *Config) { withKey(c); c.Plugin.Issuer = "https://provider.example" })
	none := root.add("none", nil)
	for _, test := range []struct {
		name   string
		at     *testServer
		query  string
		refuse bool
	}{
		{name: "as registered", at: root, query: "&iss=https%3A%2F%2Fprovider.example"},
		{name: "not sent, as by most", at: root},
		{name: "another", at: root, query: "&iss=https%3A%2F%2Fevil.example", refuse: true},
		{name: "a slash behind", at: root, query: "&iss=https%3A%2F%2Fprovider.example%2F", refuse: true},
		{
			name: "another's error", at: root, query: "&error=access_denied&iss=https%3A%2F%2Fevil.example",
			refuse: true,
		},
		{name: "none registered", at: none, query: "&iss=https%3A%2F%2Fevil.example"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.at
			authorizationURL, readKey := s.Authorize()
			before := s.Provider.Exchanges()
			page := s.Get(s.Agree(authorizationURL) + test.query)
			if !test.refuse {
				s.ExpectPage("redirect", page, http.StatusOK, "You are signed in")
				return
			}
			s.ExpectPage("redirect", page, http.StatusBadGateway, "another provider")
			s.ExpectError("poll", s.Poll(readKey), http.StatusBadRequest, "invalid_request")
			if s.Provider.Exchanges() != before {
				t.Error("the code was exchanged")
			}
		})
	}
}

// fieldErrors returns what a refused save says, one line for each field.
func fieldErrors(t *testing.T, got testkit.Answer) string {
	t.Helper()
	var refusal struct {
		Data map[string]struct{ Message string }
	}
	if err := json.Unmarshal([]byte(got.Body), &refusal); err != nil || got.Status != http.StatusBadRequest {
		t.Errorf("the save is not refused: %d %s", got.Status, got.Body)
	}
	var lines strings.Builder
	for _, field := range slices.Sorted(maps.Keys(refusal.Data)) {
		fmt.Fprintf(&lines, "%s: %s\n", field, refusal.Data[field].Message)
	}
	return lines.String()
}

// validFields are those of a plugin that can be saved, with one changed.
func validFields(field, value string) map[string]any {
	fields := map[string]any{
		"slug": "valid", "clientId": "id", "clientSecret": "secret", "provider": "github", "enabled": true,
	}
	fields[field] = value
	return fields
}

// What the dashboard refuses, it refuses at the field, and says what to do.
func TestPluginFieldErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("taken", nil)
	for _, test := range []struct{ field, value, want string }{
		{field: "slug", value: "", want: "slug: Must be set"},
		{field: "slug", value: "Big", want: "slug: Must consist of a-z, 0-9 and -"},
		{field: "slug", value: "a/b", want: "slug: Must consist of a-z, 0-9 and -"},
		{field: "slug", value: "_", want: "slug: Must consist of a-z, 0-9 and -"},
		{field: "slug", value: "api", want: "slug: Must be another"},
		{field: "slug", value: strings.Repeat("a", 64), want: "slug: Must consist of"},
		{field: "slug", value: " taken\u00a0", want: "slug: Value must be unique."},
		{field: "clientId", value: " ",
			want: "clientId: Must be set; the provider's developer console shows it."},
		{field: "clientSecret", value: "",
			want: "clientSecret: Must be set; the provider's developer console shows it."},
		{field: "clientSecret", value: secretDots, want: "clientSecret: Must be entered again; a copy"},
		{field: "clientSecret", value: secretDots + "new", want: "clientSecret: Must be replaced as a whole"},
		{field: "provider", value: "netflix",
			want: `provider: Must be one that the command plugin-oauth providers lists, not "netflix".`},
		{field: "provider", value: "githubb", want: "did you mean github?\n"},
		{field: "provider", value: "gogle", want: `lists, not "gogle"; did you mean google?` + "\n"},
		{field: "provider", value: "", want: "authorizeEndpoint: " +
			"Must be set; the provider's documentation has it. " +
			"Or choose a provider that plugin-oauth knows.\n" +
			"tokenEndpoint: Must be set"},
		{field: "authorizeEndpoint", value: "/authorize",
			want: "authorizeEndpoint: Must be an absolute URL that starts with https://"},
		{field: "authorizeEndpoint", value: "https://p.example/?state=1",
			want: "authorizeEndpoint: Must not carry state"},
		{field: "authorizeEndpoint", value: "https://p.example/#",
			want: "authorizeEndpoint: Must have neither a fragment"},
		{field: "tokenEndpoint", value: "provider.example/token",
			want: "tokenEndpoint: Must be an absolute URL"},
		{field: "tokenEndpoint", value: "https://:443/token", want: "tokenEndpoint: Must be an absolute URL"},
		{field: "tokenEndpoint", value: "https://{shop}.example/token",
			want: "tokenEndpoint: Must not hold a placeholder"},
		{field: "revokeEndpoint", value: "ftp://provider.example",
			want: "revokeEndpoint: Must be an absolute URL"},
		{field: "revokeEndpoint", value: "https://provider.example/{client_id}",
			want: "revokeEndpoint: Must not hold a placeholder"},
		{field: "issuer", value: "provider", want: "issuer: Must be an absolute URL"},
		{field: "redirectUri", value: "https://backend.example/redirect",
			want: "redirectUri: Must end in /valid/redirect, such as https://"},
		{field: "redirectUri", value: "valid/redirect", want: "redirectUri: Must be an absolute URL"},
		{field: "authorizeParams", value: "a;b", want: "authorizeParams: Must be a query string"},
		{field: "authorizeParams", value: "a=b#c", want: "authorizeParams: Must be a query string"},
		{field: "authorizeParams", value: "a=b c", want: "authorizeParams: Must be a query string"},
		{field: "authorizeParams", value: "a=b&a=c",
			want: "authorizeParams: Must not carry a parameter twice"},
		{field: "authorizeParams", value: "client_id=1", want: "authorizeParams: Must not carry client_id"},
		{field: "allowedOrigins", value: "https://a.example, figma", want: "allowedOrigins: " +
			"Must be origins such as https://plugin.example or app://obsidian.md, with commas between; " +
			"number 2 is none."},
		{field: "allowedOrigins", value: "https://a.example/path", want: "allowedOrigins: " +
			"Must be origins as browsers send them; number 1 is https://a.example."},
		{field: "pluginId", value: "https://abc.plugins.framercdn.com",
			want: "pluginId: Must be only the id"},
		{field: "tenant", value: "shop", want: "tenant: Must be blank"},
		{field: "tokenAuth", value: "header", want: "tokenAuth: Must be body, basic, basic-secret or none."},
		{field: "pkce", value: "plain", want: "pkce: Must be on or off."},
		{field: "returnUrl", value: "javascript://framer",
			want: "returnUrl: Must begin with https:// or with the scheme of an app, such as framer://."},
	} {
		t.Run(test.field+"="+test.value, func(t *testing.T) {
			t.Parallel()
			lines := fieldErrors(t, s.CreatePlugin(validFields(test.field, test.value)))
			if !strings.Contains(lines, test.want) {
				t.Errorf("%q, want %q", lines, test.want)
			}
			if test.value != "" && strings.Count(lines, "\n") != 1 {
				t.Errorf("more than the one thing to fix: %q", lines)
			}
		})
	}
}

// A provider whose tenant is fixed needs one, and only its name.
func TestTenantFieldErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	for tenant, want := range map[string]string{
		"": "tenant: Must be set to yours, such as ", "a.b": "tenant: Must be only the name",
	} {
		fields := validFields("provider", "auth0")
		fields["tenant"] = tenant
		if lines := fieldErrors(t, s.CreatePlugin(fields)); !strings.HasPrefix(lines, want) {
			t.Errorf("tenant %q: %q", tenant, lines)
		}
	}
}

// No plugin can take one of the service's own addresses.
func TestReservedSlugs(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	reserved := []string{"api", "_"}
	for _, r := range s.server.routes {
		if name := strings.Trim(r.path, "/"); name != "" {
			reserved = append(reserved, name)
		}
	}
	for _, slug := range reserved {
		lines := fieldErrors(t, s.CreatePlugin(validFields("slug", slug)))
		if !strings.HasPrefix(lines, "slug: Must ") {
			t.Errorf("%s: %q", slug, lines)
		}
	}
	if got := s.CreatePlugin(validFields("slug", "valid")); got.Status != http.StatusOK {
		t.Errorf("the valid one is refused: %s", got.Body)
	}
	redirect := s.Get("/valid/redirect")
	s.ExpectPage("its redirect", redirect, http.StatusBadRequest, "start the sign-in again in the plugin")
}

// Without a key and without an address the dashboard says how to get both.
func TestPluginWithoutKeyOrAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, func(c *Config) { c.Plugin = nil })
	lines := fieldErrors(t, s.CreatePlugin(validFields("clientSecret", "top secret")))
	for _, words := range []string{"openssl rand -base64 24", "PUBLIC_URL"} {
		if !strings.Contains(lines, words) || strings.Contains(lines, "top secret") {
			t.Errorf("it says %s", lines)
		}
	}
}

// A plugin that is off, unknown, deleted or renamed answers 404 with a description, and a change takes effect
// with the next request.
func TestPluginIsLiveAtOnce(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", func(fields map[string]any) { fields["pluginId"] = "xyz" })
	id := root.record("one")
	s.Authorize()
	root.update(id, map[string]any{"scope": "other scope"})
	authorizationURL, readKey := s.Authorize()
	if got := authorizationURL.Query().Get("scope"); got != "other scope" {
		t.Errorf("the scope is %q", got)
	}
	root.update(id, map[string]any{"enabled": false})
	for _, path := range []string{"/authorize", "/poll?readKey=" + readKey, "/revoke?token=x"} {
		got := s.Request(http.MethodPost, path, "", "Origin: https://xyz.plugins.framercdn.com")
		s.ExpectError(path, got, http.StatusNotFound, "not_found")
		allowed := got.Header.Get("Access-Control-Allow-Origin")
		if !strings.Contains(got.Body, "switched off") || allowed == "" {
			t.Errorf("%s: the plugin cannot read why: %v %s", path, got.Header, got.Body)
		}
	}
	s.Expect("refresh", s.Post("/refresh?code=x"), http.StatusNotFound,
		"not_found: This plugin is switched off. Its admin can enable it in the dashboard.\n")
	s.ExpectPage("redirect", s.Get("/redirect?code=x&state=y"), http.StatusNotFound, "switched off")
	root.update(id, map[string]any{"enabled": true})
	s.Expect("poll", s.Poll(readKey), http.StatusNotFound, bodyPending)
	root.update(id, map[string]any{"slug": "two"})
	s.ExpectError("the old slug", s.Post("/authorize"), http.StatusNotFound, "not_found")
	if got := root.Post("/two/authorize"); got.Status != http.StatusOK {
		t.Errorf("the new slug: %d", got.Status)
	}
	root.deleteRecord("plugins", id)
	root.ExpectError("deleted", root.Post("/two/authorize"), http.StatusNotFound, "not_found")
	page := root.Request(http.MethodGet, "/two/redirect?code=x&state=y", "", "Accept: text/html")
	root.ExpectPage("deleted", page, http.StatusNotFound, "no such address")
}

// When saves race logins, a request after a save sees it, and no login is lost.
func TestSavesRaceLogins(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", nil)
	id := root.record("one")
	stop := make(chan struct{})
	var logins sync.WaitGroup
	again := func(step func()) {
		logins.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					step()
				}
			}
		})
	}
	for range 6 {
		again(func() {
			if got := s.Post("/authorize"); got.Status != http.StatusOK {
				t.Errorf("authorize: %d %s", got.Status, got.Body)
			}
		})
	}
	again(func() {
		page, readKey := s.Login()
		s.ExpectPage("login", page, http.StatusOK, "You are signed in")
		s.expectTokens(readKey)
	})
	for i := range 60 {
		name := fmt.Sprint("name ", i)
		if got := root.UpdatePlugin(id, map[string]any{"name": name}); got.Status != http.StatusOK {
			t.Errorf("save %d: %d %s", i, got.Status, got.Body)
		}
		if got := s.Get("/redirect"); !strings.Contains(got.Body, name) {
			t.Errorf("after save %d the page is an old one", i)
		}
	}
	close(stop)
	logins.Wait()
}

// The client secret is not shown anywhere.
func TestClientSecretIsWriteOnly(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	root.add("one", nil)
	id := root.record("one")
	const records = "/api/collections/plugins/records"
	get := func(path string) testkit.Answer { return root.Request(http.MethodGet, path, "", root.Admin()) }
	secret := map[string]any{"clientSecret": testkit.ClientSecret}
	refused := map[string]any{"clientSecret": testkit.ClientSecret, "slug": "API"}
	shown := map[string]testkit.Answer{
		"list":          get(records),
		"record":        get(records + "/" + id),
		"asked for":     get(records + "?filter=clientSecret!=''&fields=*,clientSecret,sealedSecret"),
		"sorted by":     get(records + "?sort=sealedSecret"),
		"save":          root.UpdatePlugin(id, secret),
		"save, refused": root.UpdatePlugin(id, refused),
		"export":        get("/api/collections/plugins"),
	}
	shown["log"] = testkit.Answer{Body: root.waitLogged(`"url":"/api/collections/plugins"`)}
	for name, got := range shown {
		var values any
		_ = json.Unmarshal([]byte(got.Body), &values)
		text := got.Body + fmt.Sprint(values)
		sealed := name != "log" && strings.Contains(text, "sealedSecret")
		if sealed || strings.Contains(text, testkit.ClientSecret) {
			t.Errorf("%s shows the secret: %s", name, got.Body)
		}
	}
	if !strings.Contains(shown["record"].Body, secretDots) {
		t.Errorf("the form does not show that there is a secret: %s", shown["record"].Body)
	}
	for _, forbidden := range []string{
		"GET " + records, "GET " + records + "/" + id, "POST " + records, "PATCH " + records + "/" + id,
		"DELETE " + records + "/" + id,
	} {
		method, path, _ := strings.Cut(forbidden, " ")
		if got := root.Request(method, path, `{}`, asJSON); got.Status != http.StatusUnauthorized {
			t.Errorf("a stranger's %s: %d", forbidden, got.Status)
		}
	}
}

// The whole form as it was shown, the form without the field, and the field left blank keep the client
// secret.
func TestClientSecretIsReplaced(t *testing.T) {
	t.Parallel()
	root := serve(t, withKey)
	s := root.add("one", nil)
	id := root.record("one")
	var form map[string]any
	readJSON(root.Backend, "/api/collections/plugins/records/"+id, &form)
	for _, fields := range []map[string]any{
		form, {"name": "new"}, {"clientSecret": ""}, {"clientSecret": " "},
	} {
		root.update(id, fields)
		page, _ := s.Login()
		s.ExpectPage("login", page, http.StatusOK, "You are signed in")
	}
	root.update(id, map[string]any{"clientSecret": "another"})
	s.Login()
	refusals := s.Provider.Refusals()
	if len(refusals) != 1 || !strings.Contains(refusals[0], "did not authenticate") {
		t.Errorf("the new secret is not used: %v", refusals)
	}
}

// Admins cannot have a secret that they cannot read sent to a server of their own. What counts as one is
// tested in package plugins.
func TestClientSecretStaysWithItsHosts(t *testing.T) {
	t.Parallel()
	s := serve(t, withKey)
	s.add("own", nil)
	id := s.record("own")
	for _, fields := range []map[string]any{
		{"tokenEndpoint": "https://evil.example/token"}, {"revokeEndpoint": "https://evil.example/revoke"},
	} {
		lines := fieldErrors(t, s.UpdatePlugin(id, fields))
		const want = "clientSecret: Must be entered again, " +
			"since it would now be sent to https://evil.example.\n"
		if lines != want {
			t.Errorf("%v: %q", fields, lines)
		}
	}
	s.update(id, map[string]any{"authorizeEndpoint": "https://evil.example/"}) // it is sent no secret
	s.update(id, map[string]any{"tokenEndpoint": "https://other.example/token", "clientSecret": "new"})
}

// readAgain has the service read a record again, as after a save and at a start.
func (s *testServer) readAgain(slug string) {
	s.T.Helper()
	record, err := s.App.FindFirstRecordByData("plugins", "slug", slug)
	if err != nil {
		s.T.Fatal(err)
	}
	event := &core.RecordEvent{App: s.App}
	event.Record = record
	if err := s.App.OnRecordAfterUpdateSuccess("plugins").Trigger(event); err != nil {
		s.T.Fatal(err)
	}
}

// Nobody gets a secret by changing the database behind the service's back.
func TestPluginChangedInTheDatabase(t *testing.T) {
	t.Parallel()
	const unreadable = "client secret cannot be read"
	for name, test := range map[string]struct{ change, words string }{
		"token endpoint": {
			change: "tokenEndpoint = 'https://evil.example/token'", words: unreadable,
		},
		"revocation endpoint": {
			change: "revokeEndpoint = 'https://evil.example/revoke'", words: unreadable,
		},
		"provider": {
			change: "provider = 'github', tokenEndpoint = ''", words: unreadable,
		},
		"another's secret": {
			change: "sealedSecret = (SELECT sealedSecret FROM plugins WHERE slug = 'other')",
			words:  unreadable,
		},
		"client ID": {
			change: "clientId = ''", words: "field clientId must be set",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := serve(t, withKey)
			s, other := root.add("one", nil), root.add("other", nil)
			query := root.App.DB().NewQuery("UPDATE plugins SET " + test.change + " WHERE slug = 'one'")
			if _, err := query.Execute(); err != nil {
				t.Fatal(err)
			}
			root.readAgain("one")
			got := s.Post("/refresh?code=x")
			if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, test.words) {
				t.Errorf("%d %s", got.Status, got.Body)
			}
			got = s.Post("/authorize")
			s.ExpectError("authorize", got, http.StatusServiceUnavailable, "temporarily_unavailable")
			other.Authorize()
			line, err := root.server.records.Unusable()
			if err != nil || !strings.Contains(line, "one") || strings.Contains(line, "other") {
				t.Errorf("the start says %q, %v", line, err)
			}
			kept := root.UpdatePlugin(root.record("one"), map[string]any{"name": "x"})
			if kept.Status != http.StatusBadRequest {
				t.Errorf("the secret is kept: %d %s", kept.Status, kept.Body)
			}
		})
	}
}

package hooks

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// variables are all that LoadConfig reads.
var variables = []string{
	"CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI", "AUTHORIZE_ENDPOINT", "TOKEN_ENDPOINT", "SCOPE",
	"PLUGIN_ID", "PLUGIN_PARENT_DOMAIN", "PLUGIN_URI", "PLUGIN_NAME", "RETURN_APP", "RETURN_URL",
	"AUTHORIZE_PARAMS", "TOKEN_AUTH", "PKCE", "ALLOWED_ORIGINS", "SESSION_TTL", "SESSION_RETENTION",
	"PROVIDER", "TENANT", "ISSUER", "REVOKE_ENDPOINT", "PUBLIC_URL", "ENCRYPTION_KEY", "CONFIRM_LOGIN",
	"AUTHORIZE_RATE_LIMIT", "REFRESH_RATE_LIMIT", "TRUSTED_PROXY_HEADERS", "SUPERUSER_EMAIL",
	"SUPERUSER_PASSWORD", "METRICS_ADDR", "TLS_CERT_FILE", "TLS_KEY_FILE", "FLY_APP_NAME", "ALLOW_HTTP",
	"TOKEN_PARAMS", "TOKEN_FORMAT", "LOGIN_PARAMS", "REDIRECT_PARAMS", "REDIRECT_NAME", "REVOKE_KIND",
	"ALERT_URL", "TEAM_ID", "KEY_ID", "API_HOSTS", "TOKENS", "OLD_ENCRYPTION_KEY",
	"CLUSTER", "CLUSTER_NAME", "CLUSTER_SECRET", "CLUSTER_LISTEN", "FLY_MACHINE_ID",
}

// setEnv sets the reference's variables and those given as NAME=value, and clears all others.
func setEnv(t *testing.T, extra ...string) {
	t.Helper()
	for _, name := range variables {
		t.Setenv(name, "") // so that it is restored
		os.Unsetenv(name)
	}
	for _, variable := range append([]string{
		"CLIENT_ID=id", "CLIENT_SECRET=top$ecret", "REDIRECT_URI=https://localhost:8787/redirect",
		"AUTHORIZE_ENDPOINT=https://provider.example/auth", "TOKEN_ENDPOINT=https://provider.example/token",
	}, extra...) {
		name, value, _ := strings.Cut(variable, "=")
		os.Setenv(name, value)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, test := range []struct{ variables, want string }{
		{variables: "CLIENT_ID=", want: "CLIENT_ID must be set"},
		{variables: "CLIENT_SECRET=", want: "CLIENT_SECRET must be set"},
		{variables: "REDIRECT_URI=", want: "REDIRECT_URI must be set, or PUBLIC_URL"},
		{variables: "REDIRECT_URI=/redirect", want: "REDIRECT_URI must be an absolute URL"},
		{variables: "REDIRECT_URI=https://host/callback", want: "REDIRECT_URI must end in /redirect"},
		{variables: "AUTHORIZE_ENDPOINT=", want: "AUTHORIZE_ENDPOINT must be set"},
		{
			variables: "AUTHORIZE_ENDPOINT=provider.example",
			want:      "AUTHORIZE_ENDPOINT must be an absolute URL",
		},
		{
			variables: "AUTHORIZE_ENDPOINT=https://p.example/?client_id=x",
			want:      "AUTHORIZE_ENDPOINT must not carry client_id",
		},
		{variables: "TOKEN_ENDPOINT=", want: "TOKEN_ENDPOINT must be set"},
		{variables: "TOKEN_ENDPOINT=https:///token", want: "TOKEN_ENDPOINT must be an absolute URL"},
		{variables: "TOKEN_ENDPOINT=javascript:alert(1)", want: "TOKEN_ENDPOINT must be an absolute URL"},
		{variables: "TOKEN_ENDPOINT=https://u:p@host/", want: "TOKEN_ENDPOINT must have neither"},
		{variables: "TOKEN_ENDPOINT=https://host/#x", want: "TOKEN_ENDPOINT must have neither"},
		{
			variables: "SUPERUSER_EMAIL=admin\nSUPERUSER_PASSWORD=long enough",
			want:      "SUPERUSER_EMAIL is not an email address",
		},
		{
			variables: "SUPERUSER_EMAIL=a@plugin.example\nSUPERUSER_PASSWORD=short",
			want:      "SUPERUSER_PASSWORD must have 8 to 71",
		},
		{variables: "TOKEN_AUTH=header", want: "TOKEN_AUTH must be body, basic, basic-secret or none"},
		{
			variables: "TOKEN_AUTH=none\nPKCE=off",
			want:      "PKCE must be on: tokenAuth is none, and without a secret nothing else protects",
		},
		{variables: "TOKEN_FORMAT=xml", want: "TOKEN_FORMAT must be form or json"},
		{variables: "TOKEN_PARAMS=client_secret=x", want: "TOKEN_PARAMS must not carry client_secret"},
		{variables: "TOKEN_PARAMS=a b", want: "TOKEN_PARAMS must be a query string"},
		{variables: "LOGIN_PARAMS=prompt,state", want: "LOGIN_PARAMS must not name state"},
		{variables: "CLUSTER_NAME=a", want: "CLUSTER must be set beside CLUSTER_NAME"},
		{variables: "CLUSTER=a", want: `CLUSTER: "a" is no machine`},
		{variables: "CLUSTER=fly", want: "CLUSTER=fly is for machines of Fly.io"},
		{
			variables: "CLUSTER=fly\nFLY_APP_NAME=app\nFLY_MACHINE_ID=3d8d\nCLUSTER_NAME=a",
			want:      "CLUSTER_NAME must be left out beside CLUSTER=fly",
		},
		{
			variables: "CLUSTER=fly\nFLY_APP_NAME=app\nFLY_MACHINE_ID=3d8d",
			want:      "CLUSTER_SECRET is shorter than 32",
		},
		{variables: "CLUSTER=a=h:1,b=h:2", want: "CLUSTER names two machines"},
		{variables: "CLUSTER=a=h:1,b=h:2,c=h:3", want: "CLUSTER_NAME must say which machine this is"},
		{variables: "CLUSTER=a=h:1,b=h:2,c=h:3\nCLUSTER_NAME=c", want: "CLUSTER_SECRET is shorter than 32"},
		{
			variables: "CLUSTER=a=h:1,b=h:2,c=h:3\nCLUSTER_NAME=c\nCLUSTER_SECRET=" + strings.Repeat("x", 32),
			want:      "CLUSTER_SECRET must not be one character",
		},
		{variables: "TOKENS=closed", want: "TOKENS must be plain or sealed"},
		{variables: "TOKENS=sealed", want: "TOKENS cannot be sealed: the service runs without"},
		{
			variables: "TOKENS=sealed\nENCRYPTION_KEY=" + testEncryptionKey,
			want:      "TOKENS cannot be sealed while API_HOSTS is blank",
		},
		{variables: "API_HOSTS=https://api.example/v1", want: "API_HOSTS must be the hosts"},
		{variables: "API_HOSTS=*.example", want: "API_HOSTS must be the hosts"},
		{variables: "API_HOSTS=API.example", want: "API_HOSTS must be the hosts"},
		{variables: "API_HOSTS=http://api.example", want: "API_HOSTS must not begin with http://"},
		{variables: "API_HOSTS=http://localhost.api.example", want: "API_HOSTS must not begin with http://"},
		{variables: "API_HOSTS=on", want: "API_HOSTS must list the hosts"},
		{variables: "OLD_ENCRYPTION_KEY=short", want: "OLD_ENCRYPTION_KEY must be the key with 32"},
		{
			variables: "OLD_ENCRYPTION_KEY=" + testEncryptionKey,
			want:      "ENCRYPTION_KEY must be set beside OLD_ENCRYPTION_KEY",
		},
		{
			variables: "ENCRYPTION_KEY=" + testEncryptionKey + "\nOLD_ENCRYPTION_KEY=" +
				strings.Repeat("é", 16),
			want: "OLD_ENCRYPTION_KEY must not be one character over and over again",
		},
		{variables: "REDIRECT_PARAMS=realmId,code", want: "REDIRECT_PARAMS must not name code"},
		{variables: "REDIRECT_NAME=a b", want: "REDIRECT_NAME must be the name"},
		{variables: "REVOKE_KIND=put", want: "REVOKE_KIND must be rfc7009"},
		{
			variables: "ALLOWED_ORIGINS=tauri://localhost/",
			want:      "ALLOWED_ORIGINS must be origins as browsers send them; number 1 is tauri://localhost",
		},
		{variables: "PKCE=true", want: "PKCE must be on or off"},
		{variables: "RETURN_URL=http://framer.com", want: "RETURN_URL must begin with https:// or with"},
		{variables: "RETURN_URL=javascript:alert(1)", want: "RETURN_URL must begin with https://"},
		{variables: "AUTHORIZE_PARAMS=a;b", want: "AUTHORIZE_PARAMS must be a query string"},
		{variables: "AUTHORIZE_PARAMS=state=x", want: "AUTHORIZE_PARAMS must not carry state"},
		{variables: "PLUGIN_ID=abc.plugins.framercdn.com", want: "PLUGIN_ID must be only the id"},
		{variables: "PLUGIN_ID=my plugin", want: "PLUGIN_ID must be only the id"},
		{
			variables: "PLUGIN_PARENT_DOMAIN=https://x.example/",
			want:      "PLUGIN_PARENT_DOMAIN must be only a domain",
		},
		{variables: "ALERT_URL=chat.example/secret", want: "ALERT_URL must be an absolute URL"},
		{variables: "ALERT_URL=https://u:secret@chat.example/", want: "ALERT_URL must have neither"},
		{variables: "ALERT_URL=http://chat.example/secret", want: "ALERT_URL must start with https://"},
		{variables: "PLUGIN_URI=plugin", want: "PLUGIN_URI must be an origin"},
		{
			variables: "ALLOWED_ORIGINS=https://a.example,b",
			want: `ALLOWED_ORIGINS must be origins such as https://plugin.example or app://obsidian.md, ` +
				`with commas between; number 2 is none`,
		},
		{
			variables: "ALLOWED_ORIGINS=https://a.example/",
			want: "ALLOWED_ORIGINS must be origins as browsers send them; number 1 is " +
				"https://a.example",
		},
		{variables: "SESSION_TTL=ten", want: `SESSION_TTL "ten" is not a duration`},
		{variables: "SESSION_TTL=-1m", want: `SESSION_TTL "-1m" is not a duration`},
		{variables: "SESSION_RETENTION=7d", want: `SESSION_RETENTION "7d" is not a duration`},
		{
			variables: "SUPERUSER_EMAIL=admin@plugin.example",
			want:      "SUPERUSER_EMAIL and SUPERUSER_PASSWORD belong together",
		},
		{
			variables: "SUPERUSER_PASSWORD=long enough",
			want:      "SUPERUSER_EMAIL and SUPERUSER_PASSWORD belong together",
		},
		{
			variables: "PUBLIC_URL=https://backend.example/redirect/",
			want:      "PUBLIC_URL must be only the address",
		},
		{variables: "PUBLIC_URL=https://backend.example?a=b", want: "PUBLIC_URL must be only the address"},
		{variables: "PUBLIC_URL=my-backend.fly.dev", want: "PUBLIC_URL must be an absolute URL"},
		{
			variables: "ENCRYPTION_KEY=top$ecret",
			want:      "ENCRYPTION_KEY must have 32 characters; make one with: openssl rand -base64 24",
		},
		{
			variables: "ENCRYPTION_KEY=" + strings.Repeat("a", 32),
			want: "ENCRYPTION_KEY must not be one character over and over again, which anybody can guess; " +
				"make one with: openssl rand -base64 24. If client secrets are stored already, the command " +
				"rekey moves them to the new key",
		},
		{variables: "ALLOW_HTTP=yes", want: "ALLOW_HTTP must be 1, or not be set at all"},
		{
			variables: "TOKEN_ENDPOINT=http://p.example/token",
			want: "TOKEN_ENDPOINT must start with https://, since secrets are sent there. Only on this " +
				"machine it may be http://, or with ALLOW_HTTP=1 in the environment",
		},
		{
			variables: "AUTHORIZE_ENDPOINT=http://p.example/\nALLOW_HTTP=0",
			want:      "AUTHORIZE_ENDPOINT must start with https://",
		},
		{variables: "REVOKE_ENDPOINT=http://p.example/", want: "REVOKE_ENDPOINT must start with https://"},
		{
			variables: "PROVIDER=gogle",
			want: `PROVIDER must be one that the command plugin-oauth providers lists, not "gogle"; did ` +
				`you mean google?`,
		},
		{
			variables: "PROVIDER=google-sheets",
			want: `PROVIDER must be one that the command plugin-oauth providers lists, not "google-sheets"` +
				`; did you mean google?`,
		},
		{variables: "REVOKE_ENDPOINT=/revoke", want: "REVOKE_ENDPOINT must be an absolute URL"},
		{variables: "ISSUER=provider.example", want: "ISSUER must be an absolute URL"},
		{variables: "TENANT=my-store", want: "TENANT must be blank"},
		{
			variables: "PROVIDER=shopify\nAUTHORIZE_ENDPOINT=\nTOKEN_ENDPOINT=\nTENANT=my store",
			want:      "TENANT must be only the name, such as my-store",
		},
		{variables: "CONFIRM_LOGIN=sometimes", want: "CONFIRM_LOGIN must be auto, always or never"},
		{variables: "AUTHORIZE_RATE_LIMIT=60", want: `AUTHORIZE_RATE_LIMIT "60" must be like 60/1m, or off`},
		{
			variables: "AUTHORIZE_RATE_LIMIT=0/1m",
			want:      `AUTHORIZE_RATE_LIMIT "0/1m" must be like 60/1m, or off`,
		},
		{
			variables: "AUTHORIZE_RATE_LIMIT=5/x",
			want:      `AUTHORIZE_RATE_LIMIT "5/x" must be like 60/1m, or off`,
		},
		{variables: "REFRESH_RATE_LIMIT=on", want: `REFRESH_RATE_LIMIT "on" must be like 60/1m, or off`},
		{variables: "TLS_CERT_FILE=cert.pem", want: "TLS_CERT_FILE and TLS_KEY_FILE belong together"},
	} {
		t.Run(test.variables, func(t *testing.T) {
			setEnv(t, strings.Split(test.variables, "\n")...)
			config, err := LoadConfig(t.TempDir())
			if err == nil {
				err = config.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "top$ecret") {
				t.Errorf("it is more than a line, or quotes a secret: %v", err)
			}
		})
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	setEnv(t, "SESSION_TTL=90s", "PLUGIN_URI=https://Plugin.example:443/path",
		"ALLOWED_ORIGINS= null , https://a.example ", "TRUSTED_PROXY_HEADERS=Fly-Client-IP",
		"PLUGIN_PARENT_DOMAIN=Plugins.example", "PLUGIN_NAME=Notion for Framer", "RETURN_APP=Penpot",
		"RETURN_URL=penpot://projects")
	config, err := LoadConfig(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	if config.SessionTTL != 90*time.Second || config.SessionRetention != 168*time.Hour {
		t.Errorf("durations are %s and %s", config.SessionTTL, config.SessionRetention)
	}
	origins := strings.Join(config.Plugin.AllowedOrigins, " ")
	if origins != "null https://a.example https://plugin.example" {
		t.Errorf("origins are %s", origins)
	}
	p := config.Plugin
	if p.ParentDomain != "plugins.example" || p.Name != "Notion for Framer" || p.ReturnApp != "Penpot" ||
		p.ReturnURL != "penpot://projects" {
		t.Errorf("the plugin is %+v", p)
	}
	if got := strings.Join(config.TrustedProxyHeaders, " "); got != "Fly-Client-IP" {
		t.Errorf("trusted headers are %s", got)
	}
}

// The machines of a cluster have the same variables but for the name, which Fly.io sets.
func TestClusterFromEnvironment(t *testing.T) {
	const machines = "CLUSTER=a=host-a:2380,b=host-b:2380,c=host-c:2380"
	secret := strings.Repeat("secret", 6)
	for _, test := range []struct{ variables, name string }{
		{variables: "FLY_MACHINE_ID=b"},
		{variables: machines + "\nCLUSTER_NAME=b", name: "b"},
		{variables: machines + "\nFLY_MACHINE_ID=b\nCLUSTER_NAME=c", name: "c"},
	} {
		variables := strings.Split(test.variables, "\n")
		if test.name != "" {
			variables = append(variables, "CLUSTER_SECRET="+secret, "CLUSTER_LISTEN=:2380")
		}
		setEnv(t, variables...)
		config, err := LoadConfig(t.TempDir())
		if err == nil {
			err = config.Validate()
		}
		switch {
		case err != nil:
			t.Error(err)
		case test.name == "":
			if config.Cluster != nil {
				t.Errorf("%s: %+v", test.variables, config.Cluster)
			}
		case config.Cluster.Name != test.name || config.Cluster.Secret != secret ||
			config.Cluster.Listen != ":2380" || config.Cluster.Machines["c"] != "host-c:2380":
			t.Errorf("%s: %+v", test.variables, config.Cluster)
		}
	}
}

// A public client has no secret, and the token endpoint may want more than OAuth says.
func TestTokenSettingsFromEnvironment(t *testing.T) {
	setEnv(t, "CLIENT_SECRET=", "TOKEN_AUTH=none", "TOKEN_FORMAT=json", "REVOKE_KIND=delete",
		"TOKEN_PARAMS=?resource=a&resource=b", "LOGIN_PARAMS=prompt, login_hint", "REDIRECT_PARAMS=realmId",
		"REDIRECT_NAME=Name-App-PRD-abc", "ALLOWED_ORIGINS=app://obsidian.md,chrome-extension://abcdef")
	config, err := LoadConfig(t.TempDir())
	if err := errors.Join(err, config.Validate()); err != nil {
		t.Fatal(err)
	}
	c := config.Plugin.Client
	got := []string{
		string(c.TokenAuth), string(c.TokenFormat), string(c.RevokeKind), c.TokenParams,
		strings.Join(c.LoginParams, ","), strings.Join(c.RedirectParams, ","), c.RedirectName,
		strings.Join(config.Plugin.AllowedOrigins, ","),
	}
	want := []string{
		"none", "json", "delete", "resource=a&resource=b", "prompt,login_hint", "realmId", "Name-App-PRD-abc",
		"app://obsidian.md,chrome-extension://abcdef",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// With ALLOW_HTTP=1 secrets may go to a provider in the same room.
func TestAllowHTTP(t *testing.T) {
	setEnv(t, "TOKEN_ENDPOINT=http://p.example/token", "ALLOW_HTTP=1")
	config, err := LoadConfig(t.TempDir())
	if err := errors.Join(err, config.Validate()); err != nil {
		t.Error(err)
	}
	if !config.pluginDefaults().AllowHTTP {
		t.Error("it does not hold for the dashboard's plugins")
	}
}

// A preset's parameter that is left out stays out, however often the defaults are filled in: LoadConfig does,
// and Register.
func TestParameterStaysLeftOut(t *testing.T) {
	setEnv(t, "PROVIDER=google", "AUTHORIZE_ENDPOINT=", "TOKEN_ENDPOINT=", "AUTHORIZE_PARAMS=prompt=")
	config, err := LoadConfig(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := config.withDefaults().Plugin.AuthorizeParams; got != "access_type=offline" {
		t.Errorf("the provider is sent %s", got)
	}
}

func TestConfigWithoutPlugin(t *testing.T) {
	setEnv(t)
	for _, name := range []string{
		"CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI", "AUTHORIZE_ENDPOINT", "TOKEN_ENDPOINT",
	} {
		os.Unsetenv(name)
	}
	config, err := LoadConfig(t.TempDir())
	if err != nil || config.Plugin != nil || config.Validate() != nil {
		t.Errorf("got %+v, %v", config, err)
	}
	if c := config.withDefaults(); c.SessionTTL != 10*time.Minute || c.SessionRetention != 7*24*time.Hour {
		t.Errorf("the defaults are %+v", c)
	}
	// Whoever sets one of its variables means to configure a plugin.
	t.Setenv("TOKEN_AUTH", "basic")
	if config, err = LoadConfig(t.TempDir()); err != nil || config.Plugin == nil {
		t.Errorf("got %+v, %v", config, err)
	}
}

// The durations that tests shorten are these.
func TestTimingDefaults(t *testing.T) {
	t.Parallel()
	got := Config{}.withDefaults().timing
	got.now = nil // two functions cannot be compared
	want := timing{
		provider:    10 * time.Second,
		body:        10 * time.Second,
		headers:     10 * time.Second,
		answer:      time.Minute,
		idle:        75 * time.Second,
		refreshKept: 30 * time.Second,
		pollSecond:  time.Second,
		checkAfter:  2 * time.Second,
		certificate: 30 * time.Second,
		memory:      100 * time.Millisecond,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDotEnv(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    map[string]string // of the plugin's variables
		err     string            // or a part of this error
	}{
		// A $ is no variable.
		"the form of framer/plugin-oauth's .dev.vars": {
			content: "# comment\nPLUGIN_ID = \"\"\n\nCLIENT_ID=from the file\nCLIENT_SECRET=pa$$word$HOME\n" +
				"SCOPE='a,b c#d'\n",
			want: map[string]string{
				"CLIENT_ID":     "from the environment",
				"CLIENT_SECRET": "pa$$word$HOME",
				"SCOPE":         "a,b c#d",
				"PLUGIN_ID":     "",
			},
		},
		"a byte order mark": {
			content: "\ufeffexport SCOPE=after a byte order mark\r\n",
			want:    map[string]string{"SCOPE": "after a byte order mark"},
		},
		"UTF-16":      {content: "\xff\xfeS\x00C\x00", err: "UTF-8"},
		"half a line": {content: "SCOPE=x\nCLIENT_SECRET=\"top secret\n", err: ".env line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnv(t, "CLIENT_ID=from the environment")
			os.Unsetenv("CLIENT_SECRET")
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			config, err := LoadConfig(dir)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %v", err)
				}
				if strings.Contains(err.Error(), "top secret") {
					t.Errorf("it quotes the file: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			p := config.Plugin
			got := map[string]string{
				"CLIENT_ID":     p.ClientID,
				"CLIENT_SECRET": p.ClientSecret,
				"SCOPE":         p.Scope,
				"PLUGIN_ID":     p.PluginID,
			}
			for name, want := range test.want {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

func TestMkcertFilesAreFound(t *testing.T) {
	setEnv(t)
	dir := t.TempDir()
	files := []string{filepath.Join(dir, "localhost.pem"), filepath.Join(dir, "localhost-key.pem")}
	for i, file := range files {
		config, err := LoadConfig(dir)
		if err != nil || config.TLSCertFile != "" {
			t.Errorf("with %d files: %+v, %v", i, config, err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := LoadConfig(dir)
	if err != nil || config.TLSCertFile != files[0] || config.TLSKeyFile != files[1] {
		t.Errorf("got %+v, %v", config, err)
	}
	if _, err := config.certificate(); err == nil || !strings.Contains(err.Error(), "TLS_CERT_FILE") {
		t.Errorf("empty files: %v", err)
	}
}

// The limits have defaults, and can be switched off one by one.
func TestRateLimitsOfTheEnvironment(t *testing.T) {
	minute := func(requests int) RateLimit { return RateLimit{Requests: requests, Window: time.Minute} }
	for variables, want := range map[string][2]RateLimit{
		"": {minute(60), minute(120)},
		"AUTHORIZE_RATE_LIMIT=5/1m\nREFRESH_RATE_LIMIT=off": {minute(5), {Requests: -1}},
		"AUTHORIZE_RATE_LIMIT=off\nREFRESH_RATE_LIMIT=7/1m": {{Requests: -1}, minute(7)},
	} {
		t.Run(variables, func(t *testing.T) {
			setEnv(t, strings.Split(variables, "\n")...)
			config, err := LoadConfig(t.TempDir())
			if got := [2]RateLimit{config.AuthorizeRateLimit, config.RefreshRateLimit}; err != nil ||
				got != want {
				t.Errorf("the limits are %v, want %v; %v", got, want, err)
			}
		})
	}
}

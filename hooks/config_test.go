package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// setEnv sets the reference's variables and those given as NAME=value, and clears all others.
func setEnv(t *testing.T, extra ...string) {
	t.Helper()
	for _, name := range []string{"CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI", "AUTHORIZE_ENDPOINT", "TOKEN_ENDPOINT", "SCOPE", "PLUGIN_ID",
		"PLUGIN_PARENT_DOMAIN", "PLUGIN_URI", "PLUGIN_NAME", "RETURN_APP", "AUTHORIZE_PARAMS", "TOKEN_AUTH", "PKCE", "ALLOWED_ORIGINS", "SESSION_TTL", "SESSION_RETENTION",
		"PROVIDER", "TENANT", "ISSUER", "REVOKE_ENDPOINT", "PUBLIC_URL", "ENCRYPTION_KEY", "CONFIRM_LOGIN", "AUTHORIZE_RATE_LIMIT",
		"TRUSTED_PROXY_HEADERS", "SUPERUSER_EMAIL", "SUPERUSER_PASSWORD", "TLS_CERT_FILE", "TLS_KEY_FILE"} {
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
	for variables, want := range map[string]string{
		"CLIENT_ID=":                                                 "CLIENT_ID must be set",
		"CLIENT_SECRET=":                                             "CLIENT_SECRET must be set",
		"REDIRECT_URI=":                                              "REDIRECT_URI must be set, or PUBLIC_URL",
		"REDIRECT_URI=/redirect":                                     "REDIRECT_URI must be an absolute URL",
		"REDIRECT_URI=https://host/callback":                         "REDIRECT_URI must end in /redirect",
		"AUTHORIZE_ENDPOINT=":                                        "AUTHORIZE_ENDPOINT must be set",
		"AUTHORIZE_ENDPOINT=provider.example":                        "AUTHORIZE_ENDPOINT must be an absolute URL",
		"AUTHORIZE_ENDPOINT=https://p.example/?client_id=x":          "AUTHORIZE_ENDPOINT must not carry client_id",
		"TOKEN_ENDPOINT=":                                            "TOKEN_ENDPOINT must be set",
		"TOKEN_ENDPOINT=https:///token":                              "TOKEN_ENDPOINT must be an absolute URL",
		"TOKEN_ENDPOINT=javascript:alert(1)":                         "TOKEN_ENDPOINT must be an absolute URL",
		"TOKEN_ENDPOINT=https://u:p@host/":                           "TOKEN_ENDPOINT must have neither",
		"TOKEN_ENDPOINT=https://host/#x":                             "TOKEN_ENDPOINT must have neither",
		"SUPERUSER_EMAIL=admin\nSUPERUSER_PASSWORD=long enough":      "SUPERUSER_EMAIL is not an email address",
		"SUPERUSER_EMAIL=a@plugin.example\nSUPERUSER_PASSWORD=short": "SUPERUSER_PASSWORD must have 8 to 71",
		"TOKEN_AUTH=header":                                          "TOKEN_AUTH must be body, basic or basic-secret",
		"PKCE=true":                                                  "PKCE must be on or off",
		"AUTHORIZE_PARAMS=a;b":                                       "AUTHORIZE_PARAMS must be a query string",
		"AUTHORIZE_PARAMS=state=x":                                   "AUTHORIZE_PARAMS must not carry state",
		"PLUGIN_ID=abc.plugins.framercdn.com":                        "PLUGIN_ID must be only the id",
		"PLUGIN_ID=my plugin":                                        "PLUGIN_ID must be only the id",
		"PLUGIN_PARENT_DOMAIN=https://x.example/":                    "PLUGIN_PARENT_DOMAIN must be only a domain",
		"PLUGIN_URI=plugin":                                          "PLUGIN_URI must be an origin",
		"ALLOWED_ORIGINS=https://a.example,b":                        `ALLOWED_ORIGINS must be origins such as https://plugin.example, with commas between; number 2 is none`,
		"ALLOWED_ORIGINS=https://a.example/":                         "ALLOWED_ORIGINS must be origins as browsers send them; number 1 is https://a.example",
		"SESSION_TTL=ten":                                            `SESSION_TTL "ten" is not a duration`,
		"SESSION_TTL=-1m":                                            `SESSION_TTL "-1m" is not a duration`,
		"SESSION_RETENTION=7d":                                       `SESSION_RETENTION "7d" is not a duration`,
		"SUPERUSER_EMAIL=admin@plugin.example":                       "SUPERUSER_EMAIL and SUPERUSER_PASSWORD belong together",
		"SUPERUSER_PASSWORD=long enough":                             "SUPERUSER_EMAIL and SUPERUSER_PASSWORD belong together",
		"PUBLIC_URL=https://backend.example/redirect/":               "PUBLIC_URL must be only the address",
		"PUBLIC_URL=https://backend.example?a=b":                     "PUBLIC_URL must be only the address",
		"PUBLIC_URL=my-backend.fly.dev":                              "PUBLIC_URL must be an absolute URL",
		"ENCRYPTION_KEY=top$ecret":                                   "ENCRYPTION_KEY must have 32 characters; make one with: openssl rand -base64 24",
		"PROVIDER=gogle":                                             "PROVIDER must be one that the command plugin-oauth providers lists",
		"PROVIDER=google-sheets":                                     "PROVIDER must be one that the command plugin-oauth providers lists; did you mean google?",
		"REVOKE_ENDPOINT=/revoke":                                    "REVOKE_ENDPOINT must be an absolute URL",
		"ISSUER=provider.example":                                    "ISSUER must be an absolute URL",
		"TENANT=my-store":                                            "TENANT must be blank",
		"PROVIDER=shopify\nAUTHORIZE_ENDPOINT=\nTOKEN_ENDPOINT=\nTENANT=my store": "TENANT must be only the name, such as my-store",
		"CONFIRM_LOGIN=sometimes":   "CONFIRM_LOGIN must be auto, always or never",
		"AUTHORIZE_RATE_LIMIT=60":   `AUTHORIZE_RATE_LIMIT "60" must be like 60/1m, or off`,
		"AUTHORIZE_RATE_LIMIT=0/1m": `AUTHORIZE_RATE_LIMIT "0/1m" must be like 60/1m, or off`,
		"AUTHORIZE_RATE_LIMIT=5/x":  `AUTHORIZE_RATE_LIMIT "5/x" must be like 60/1m, or off`,
		"TLS_CERT_FILE=cert.pem":    "TLS_CERT_FILE and TLS_KEY_FILE belong together",
	} {
		t.Run(variables, func(t *testing.T) {
			setEnv(t, strings.Split(variables, "\n")...)
			config, err := LoadConfig(t.TempDir())
			if err == nil {
				err = config.Validate()
			}
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "top$ecret") {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestConfigFromEnvironment(t *testing.T) {
	setEnv(t, "SESSION_TTL=90s", "PLUGIN_URI=https://Plugin.example:443/path", "ALLOWED_ORIGINS= null , https://a.example ", "TRUSTED_PROXY_HEADERS=Fly-Client-IP",
		"PLUGIN_PARENT_DOMAIN=Plugins.example", "PLUGIN_NAME=Notion for Framer", "RETURN_APP=Penpot")
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
	if got := strings.Join(config.Plugin.AllowedOrigins, " "); got != "null https://a.example https://plugin.example" {
		t.Errorf("origins are %s", got)
	}
	if p := config.Plugin; p.ParentDomain != "plugins.example" || p.Name != "Notion for Framer" || p.ReturnApp != "Penpot" {
		t.Errorf("plugin is %+v", p)
	}
	if got := strings.Join(config.TrustedProxyHeaders, " "); got != "Fly-Client-IP" {
		t.Errorf("trusted headers are %s", got)
	}
}

// A preset's parameter that is left out stays out, however often the defaults are filled in: LoadConfig does, and Register.
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
	for _, name := range []string{"CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI", "AUTHORIZE_ENDPOINT", "TOKEN_ENDPOINT"} {
		os.Unsetenv(name)
	}
	config, err := LoadConfig(t.TempDir())
	if err != nil || config.Plugin != nil || config.Validate() != nil {
		t.Errorf("got %+v, %v", config, err)
	}
	if defaults := config.withDefaults(); defaults.SessionTTL != 10*time.Minute || defaults.SessionRetention != 7*24*time.Hour {
		t.Errorf("defaults are %+v", defaults)
	}
	// Whoever sets one of its variables means to configure a plugin.
	t.Setenv("TOKEN_AUTH", "basic")
	if config, err = LoadConfig(t.TempDir()); err != nil || config.Plugin == nil {
		t.Errorf("got %+v, %v", config, err)
	}
}

func TestDotEnv(t *testing.T) {
	setEnv(t, "CLIENT_ID=from the environment")
	os.Unsetenv("CLIENT_SECRET")
	dir := t.TempDir()
	write := func(content string) {
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The form of framer/plugin-oauth's .dev.vars. A $ is no variable.
	write("# comment\nPLUGIN_ID = \"\"\n\nCLIENT_ID=from the file\nCLIENT_SECRET=pa$$word$HOME\nSCOPE='a,b c#d'\n")
	config, err := LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p := config.Plugin; p.ClientID != "from the environment" || p.ClientSecret != "pa$$word$HOME" || p.Scope != "a,b c#d" || p.PluginID != "" {
		t.Errorf("got %+v", p)
	}
	write("\ufeffexport SCOPE=after a byte order mark\r\n")
	if config, err = LoadConfig(dir); err != nil || config.Plugin.Scope != "after a byte order mark" {
		t.Errorf("got %+v, %v", config.Plugin, err)
	}
	write("\xff\xfeS\x00C\x00")
	if _, err = LoadConfig(dir); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
	write("SCOPE=x\nCLIENT_SECRET=\"top secret\n")
	if _, err := LoadConfig(dir); err == nil || !strings.Contains(err.Error(), ".env line 2") || strings.Contains(err.Error(), "top secret") {
		t.Errorf("got %v", err)
	}
}

func TestMkcertFilesAreFound(t *testing.T) {
	setEnv(t)
	dir := t.TempDir()
	for i, file := range []string{"localhost.pem", "localhost-key.pem"} {
		config, err := LoadConfig(dir)
		if err != nil || config.TLSCertFile != "" {
			t.Errorf("with %d files: %+v, %v", i, config, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := LoadConfig(dir)
	if err != nil || config.TLSCertFile != filepath.Join(dir, "localhost.pem") || config.TLSKeyFile != filepath.Join(dir, "localhost-key.pem") {
		t.Errorf("got %+v, %v", config, err)
	}
	if _, err := config.certificate(); err == nil || !strings.Contains(err.Error(), "TLS_CERT_FILE") {
		t.Errorf("empty files: %v", err)
	}
}

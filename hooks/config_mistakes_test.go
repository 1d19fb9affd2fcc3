package hooks

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/internal/testkit"
)

// mistakesIn returns what is found in a .env file with this content, one line for each, without the reasons.
func mistakesIn(t *testing.T, content string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	config, _ := LoadConfig(dir) // which may be invalid
	var found []string
	for _, f := range config.mistakes {
		if f.Level != "warning" || f.Why == "" || strings.Contains(f.What+f.Why+f.Fix, "HIDDEN") {
			t.Errorf("it quotes a value, or does not say why: %v", f)
		}
		found = append(found, f.What+" "+f.Fix)
	}
	return found
}

// clearEnv leaves no variable of the process but PATH.
func clearEnv(t *testing.T) {
	t.Helper()
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if name != "PATH" {
			t.Setenv(name, value) // so that it is restored
			os.Unsetenv(name)
		}
	}
}

// A name in .env that is near one of ours is reported with that one.
func TestMistakenNames(t *testing.T) {
	clearEnv(t)
	for name, meant := range map[string]string{
		"SCOPES":                 "SCOPE",
		"scope":                  "SCOPE",
		"PLUGINID":               "PLUGIN_ID",
		"pluginId":               "PLUGIN_ID",
		"REDIRECT_URL":           "REDIRECT_URI",
		"REDIRECTURL":            "REDIRECT_URI",
		"CALLBACK_URL":           "REDIRECT_URI",
		"CLIENT_SECERT":          "CLIENT_SECRET",
		"client_id":              "CLIENT_ID",
		"AUTHORIZATION_ENDPOINT": "AUTHORIZE_ENDPOINT",
		"AUTH_URL":               "AUTHORIZE_ENDPOINT",
		"TOKEN_URL":              "TOKEN_ENDPOINT",
		"TOKEN_URI":              "TOKEN_ENDPOINT",
		"PUBLIC_URI":             "PUBLIC_URL",
		"ADMIN_EMAIL":            "SUPERUSER_EMAIL",
		"SUPERUSER_PASS":         "SUPERUSER_PASSWORD",
		"ALLOWED_ORIGIN":         "ALLOWED_ORIGINS",
		"METRICS_ADDRESS":        "METRICS_ADDR",
		"ENCRYPTIONKEY":          "ENCRYPTION_KEY",
		"PROVIDERS":              "PROVIDER",
		"TENANT_ID":              "TENANT",
		"FLY_APP_NAME":           "",
		"VITE_CLIENT_ID":         "",
		"GOMEMLIMIT":             "",
		"SSL_CERT_FILE":          "",
		"TOKEN":                  "",
		"PORT":                   "",
	} {
		var want []string
		if meant != "" {
			want = []string{
				name + " in .env, line 2, is not a variable of plugin-oauth. If " + meant +
					" is meant, write that instead.",
			}
		}
		if got := mistakesIn(t, "# comment\n"+name+"=HIDDEN\n"); !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// No two names of ours are taken for each other, and each is known.
func TestVariableNames(t *testing.T) {
	t.Parallel()
	names := variableNames()
	for _, name := range variables {
		if !strings.HasPrefix(name, "FLY_") && !slices.Contains(names, name) {
			t.Errorf("%s is not known", name)
		}
	}
	for _, name := range names {
		if nearest := nearestVariables(name, names); len(nearest) != 1 || nearest[0] != name {
			t.Errorf("%s is taken for %s", name, nearest)
		}
	}
}

// What systems, hosts and tools set for other programs.
const othersEnvironment = `
ACTIONS_RUNNER_DEBUG ALLUSERSPROFILE API_HOST API_KEY APPDATA APP_ID APP_URL AUTH_TOKEN
AWS_ACCESS_KEY_ID AWS_REGION AWS_SECRET_ACCESS_KEY AZURE_CLIENT_ID AZURE_CLIENT_SECRET
AZURE_TENANT_ID BASE_URL BROWSER BUILD_ID CI CLIENT_IP CLIENTNAME COLORTERM COLUMNS
COMMONPROGRAMFILES COMPUTERNAME COMSPEC CONTAINER_NAME DATABASE_URL DBUS_SESSION_BUS_ADDRESS
DEBIAN_FRONTEND DEPLOYMENT_ID DESKTOP_SESSION DISPLAY DYNO EDITOR ENCODING FLY_ALLOC_ID FLY_APP_NAME
FLY_IMAGE_REF FLY_MACHINE_ID FLY_PRIVATE_IP FLY_PROCESS_GROUP FLY_PUBLIC_IP FLY_REGION
FLY_VM_MEMORY_MB FRAMER_API_KEY GITHUB_ACTIONS GITHUB_REF GITHUB_REPOSITORY GITHUB_TOKEN GOCACHE
GOFLAGS GOMEMLIMIT GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CLIENT_ID GOOGLE_CLIENT_SECRET
GOOGLE_CLOUD_PROJECT GOOGLE_REDIRECT_URI GOPATH GOROOT GPG_TTY HISTFILE HOME HOMEDRIVE HOST HOSTNAME
HTTPS_PROXY HTTP_PROXY INIT_CWD INVOCATION_ID ISSUE ISSUES JOURNAL_STREAM K_REVISION K_SERVICE KEY
KUBERNETES_PORT KUBERNETES_SERVICE_HOST LANG LANGUAGE LC_ALL LC_CTYPE LESS LINES LISTEN_FDS
LOCALAPPDATA LOGNAME LOGIN LOGIN_NAME LS_COLORS MACHTYPE MAIL MANPATH METRICS_PORT NODE NODE_ENV
NODE_OPTIONS NOTIFY_SOCKET NO_COLOR NO_PROXY NUMBER_OF_PROCESSORS NVM_DIR OAUTH_CLIENT_ID OLDPWD OS
OSTYPE PACKAGE_NAME PAGER PARENT_ID PATHEXT PLUGIN_DIR PLUGIN_HOME PLUGIN_PATH
PLUGIN_OAUTH_SERVICE_HOST PORT POD_NAME POD_NAMESPACE PRIMARY_REGION PROCESSOR_ARCHITECTURE
PROGRAMDATA PROGRAMFILES PROJECT_ID PROMPT PSMODULEPATH PUBLIC PUBLIC_IP PWD RAILWAY_ENVIRONMENT
RAILWAY_PUBLIC_DOMAIN RENDER RENDER_EXTERNAL_URL REQUEST_ID RUNNER_NAME RUNNER_TEMP RUST_BACKTRACE
SECRET_KEY SERVICE_NAME SESSIONNAME SESSION_ID SESSION_MANAGER SESSION_SECRET SHELL SHLVL SITE_URL
SSH_AGENT_PID SSH_AUTH_SOCK SSH_CLIENT SSH_CONNECTION SSH_TTY SSL_CERT_DIR SSL_CERT_FILE STEAM_ID
SUDO_USER SYSTEMDRIVE SYSTEMROOT TEAM TEMP TERM TERM_PROGRAM TERM_SESSION_ID TMP TMUX TOKEN
TZ USER USERDOMAIN USERNAME USERPROFILE USER_EMAIL VERCEL VERCEL_URL VIRTUAL_ENV VISUAL
VITE_CLIENT_ID VITE_PLUGIN_ID WAYLAND_DISPLAY WINDIR WT_SESSION XAUTHORITY XDG_CONFIG_DIRS
XDG_RUNTIME_DIR XDG_SESSION_ID XDG_SESSION_TYPE _ http_proxy https_proxy no_proxy npm_command
npm_config_cache npm_config_registry npm_config_scope npm_execpath npm_lifecycle_event
npm_node_execpath npm_package_name npm_package_version provider scope tenant`

// Variables of the process are mostly for other programs, and then nothing is said of them.
func TestMistakesInTheEnvironment(t *testing.T) {
	clearEnv(t)
	for _, name := range strings.Fields(othersEnvironment) {
		t.Setenv(name, "“HIDDEN\u200b”")
	}
	if got := mistakesIn(t, ""); got != nil {
		t.Errorf("of others: %q", got)
	}
	for name, meant := range map[string]string{
		"SCOPES": "SCOPE", "PLUGINID": "PLUGIN_ID", "REDIRECT_URL": "REDIRECT_URI",
		"CLIENTSECRET": "CLIENT_SECRET", "SUPER_USER_EMAIL": "SUPERUSER_EMAIL",
		"ALLOWED_ORIGIN": "ALLOWED_ORIGINS",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "HIDDEN")
			want := []string{
				name + " in the environment is not a variable of plugin-oauth. If " + meant +
					" is meant, write that instead.",
			}
			if got := mistakesIn(t, ""); !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
			t.Setenv(meant, "set, so the other is for something else")
			if got := mistakesIn(t, ""); got != nil {
				t.Errorf("with %s: %q", meant, got)
			}
		})
	}
}

// What is not meant to be a part of a value is reported, in whichever variable it is.
func TestMistakesInValues(t *testing.T) {
	clearEnv(t)
	const cut, quoted, invisible = "ends before a #", "has quotes that count", "has an invisible character"
	for _, test := range []struct{ line, want string }{
		{line: "CLIENT_SECRET=HIDDEN#HIDDEN", want: cut},
		{line: "CLIENT_SECRET=#HIDDEN", want: cut},
		{line: "export CLIENT_SECRET = HIDDEN# comment", want: cut},
		{line: "SCOPE='a b'#HIDDEN", want: cut},
		{line: `SCOPE="a\"b" c#HIDDEN`, want: cut},
		{line: "REDIRECT_URI=http://localhost:8787/redirect#HIDDEN", want: cut},
		{line: "CLIENT_SECRET=HIDDEN # comment"},
		{line: "CLIENT_SECRET=HIDDEN\t#comment"},
		{line: "CLIENT_SECRET= # comment"},
		{line: "CLIENT_SECRET=# comment"},
		{line: "CLIENT_SECRET=#"},
		{line: "CLIENT_SECRET='HIDDEN#HIDDEN'"},
		{line: `CLIENT_SECRET="HIDDEN\"#HIDDEN" # it's "so"`},
		{line: "#CLIENT_SECRET=HIDDEN#HIDDEN"},
		{line: "COLOR=#ffffff"},
		{line: "CLIENT_ID=“HIDDEN”", want: quoted},
		{line: "SCOPE=‘a b’", want: quoted},
		{line: "CLIENT_ID=HIDDEN”", want: quoted},
		{line: "CLIENT_ID=„HIDDEN“", want: quoted},
		{line: "CLIENT_ID=«HIDDEN»", want: quoted},
		{line: "CLIENT_ID=`HIDDEN`", want: quoted},
		{line: `CLIENT_ID="'HIDDEN'"`, want: quoted},
		{line: "PLUGIN_NAME=“HIDDEN”", want: quoted},
		{line: "PLUGIN_NAME=Anna’s plugin"},
		{line: "SUPERUSER_PASSWORD=a“b”c"},
		{line: "UNKNOWN=“HIDDEN”"},
		{line: "CLIENT_ID=\ufeffHIDDEN", want: invisible + " (U+FEFF)"},
		{line: "CLIENT_ID=HID\u00a0DEN", want: invisible + " (U+00A0)"},
		{line: "CLIENT_ID=HIDDEN\u00a0"}, // which is trimmed
		{line: "CLIENT_ID=HIDDEN\u200b\r", want: invisible + " (U+200B)"},
		{line: "SCOPE='a\u2009b'", want: invisible + " (U+2009)"},
		{line: "SCOPE=a\u00adb", want: invisible + " (U+00AD)"},
		{line: "SCOPE=a\u202eb", want: invisible + " (U+202E)"},
		{line: "SCOPE=a\u3000b", want: invisible + " (U+3000)"},
		{line: "SCOPE=a\u3164b", want: invisible + " (U+3164)"},
		{line: "SCOPE=a\ufe0fb", want: invisible + " (U+FE0F)"},
		{line: "SCOPE=a\u2800b", want: invisible + " (U+2800)"},
		{line: `SCOPE="a\nb"`, want: invisible + " (U+000A)"},
		{line: "PLUGIN_NAME=\u200bHIDDEN", want: invisible + " (U+200B)"},
		{line: "PLUGIN_NAME=Un\u00a0plugin 👩\u200d🎨"},
		{line: "PLUGIN_NAME=a\u200bb", want: invisible + " (U+200B)"},
		{line: "PLUGIN_NAME=a\u00a0b\ufeffc", want: invisible + " (U+FEFF)"},
		{line: "SUPERUSER_PASSWORD=a\u00a0b", want: invisible + " (U+00A0)"},
		{line: "PLUGIN_NAME=Überschrift, 見出し"},
		{line: "SCOPE=a b\r"},
	} {
		t.Run(test.line, func(t *testing.T) {
			found := strings.Join(mistakesIn(t, "\n"+test.line+"\n"), "\n")
			name, _, _ := strings.Cut(strings.TrimPrefix(test.line, "export "), "=")
			want := "The value of " + strings.TrimSpace(name) + " in .env, line 2, " + test.want
			if test.want == "" && found != "" || !strings.HasPrefix(found, want) && test.want != "" ||
				strings.Contains(found, "\n") {
				t.Errorf("got %q", found)
			}
		})
	}
	// Docker's --env-file takes quotes as they stand.
	for _, value := range []string{`"HIDDEN"`, "'HIDDEN'", "“HIDDEN”"} {
		t.Setenv("CLIENT_SECRET", value)
		found := strings.Join(mistakesIn(t, ""), "\n")
		if !strings.HasPrefix(found, "The value of CLIENT_SECRET in the environment has quotes that count") {
			t.Errorf("%s: %q", value, found)
		}
	}
}

// The example has no mistake in it.
func TestExampleEnvironment(t *testing.T) {
	clearEnv(t)
	example, err := os.ReadFile(filepath.Join("..", ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := mistakesIn(t, string(example)); got != nil {
		t.Errorf("got %q", got)
	}
}

// An invisible character in a name is the error of its line.
func TestInvisibleInName(t *testing.T) {
	clearEnv(t)
	for _, line := range []string{"\u200bSCOPE=HIDDEN", "SCO\u00a0PE=HIDDEN", "\ufeffSCOPE=HIDDEN"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("A=b\n"+line), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(dir)
		if err == nil || !strings.HasPrefix(err.Error(), ".env line 2 has an invisible character (U+") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// The dashboard's check says it too. The one at start does not say it again.
func TestMistakesAreSaidOnce(t *testing.T) {
	t.Parallel()
	printed := &testkit.Printed{}
	mistake := warning("SCOPES is wrong.", "It changes nothing.", "Write SCOPE.")
	s := serve(t, func(c *Config) {
		c.mistakes, c.TrustedProxyHeaders = []doctor.Finding{mistake}, []string{"X-Forwarded-For"}
		c.Log = slog.NewTextHandler(printed, nil)
		c.onFly = true // of which the check finds something
		c.timing.checkAfter = time.Nanosecond
	})
	s.server.checkAtStart()
	if out := printed.String(); strings.Contains(out, "SCOPES") || !strings.Contains(out, "Fly-Client-IP") {
		t.Errorf("printed\n%s", out)
	}
	var findings []doctor.Finding
	readJSON(s.Backend, "/api/plugin-oauth/doctor", &findings)
	if !slices.Contains(findings, mistake) {
		t.Errorf("the dashboard's check finds %v", findings)
	}
}

// The start says it at once, even if it fails, and so does the doctor.
func TestMistakesAreSaid(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(p.Dir, ".env"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("SCOPES=HIDDEN\nSUPERUSER_PASSWORD=HIDDEN#HIDDEN\n")
	const name = `level=WARN msg="SCOPES in .env, line 1, is not a variable of plugin-oauth." plugin="" ` +
		`why="It changes nothing." mend="If SCOPE is meant, write that instead."` + "\n"
	out, code := p.Run("serve", "--http", "127.0.0.1:0")
	if code != 1 || !strings.Contains(out, name) || !strings.Contains(out, "ends before a #") ||
		!strings.HasSuffix(out, "plugin-oauth: SUPERUSER_EMAIL and SUPERUSER_PASSWORD belong together; set "+
			"both, or neither\n") {
		t.Errorf("a start that fails: exit %d\n%s", code, out)
	}
	write("SCOPES=HIDDEN\n")
	p.Start() // by when it has said it
	if printed := p.Out.String(); strings.Count(printed, name) != 1 {
		t.Errorf("the start says\n%s", printed)
	}
	const finding = "warning  SCOPES in .env, line 1, is not a variable of plugin-oauth.\n"
	if out, code := p.Run("doctor"); code != 0 || !strings.Contains(out, finding) {
		t.Errorf("doctor: exit %d\n%s", code, out)
	}
	write("SCOPES=HIDDEN\nPKCE=maybe")
	if out, code := p.Run("doctor"); code != 1 || !strings.Contains(out, finding) {
		t.Errorf("doctor, with an error: exit %d\n%s", code, out)
	}
	if strings.Contains(p.Out.String(), "HIDDEN") {
		t.Errorf("a value is printed:\n%s", p.Out)
	}
}

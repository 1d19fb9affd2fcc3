package hooks

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/internal/testkit"
)

// serveHandler returns the address of a server that runs until the test ends.
func serveHandler(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	return listener.URL
}

// serveTokenEndpoint returns the address of a provider with a login page, whose token endpoint is a handler.
func serveTokenEndpoint(t testing.TB, token http.HandlerFunc) string {
	t.Helper()
	return serveHandler(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			token(w, r)
		}
	})
}

// refuseClient is a token endpoint that refuses the client, and quotes what it was sent.
func refuseClient(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.WriteHeader(http.StatusUnauthorized)
	inJSON, _ := json.Marshal(string(body))
	_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":`+string(inJSON)+`}`)
}

// doctorProcess is the program with a working folder that the command doctor is run in.
type doctorProcess struct{ *testkit.Process }

func newDoctorProcess(t *testing.T) *doctorProcess {
	t.Helper()
	p := &doctorProcess{Process: testkit.NewProcess(t)}
	p.Env = append(p.Env, testkit.SuperuserEnv()...)
	p.Env = append(p.Env, "ENCRYPTION_KEY="+testEncryptionKey, "PUBLIC_URL="+p.URL)
	return p
}

// files are those in the working folder, without the reserve, which a running service makes at the turn of a
// minute.
func (p *doctorProcess) files() (names []string) {
	p.T.Helper()
	err := filepath.WalkDir(p.Dir, func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) != reserveName {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		p.T.Fatal(err)
	}
	return names
}

// doctor runs the command, which must end with this code, leave no file behind, and print no secret.
func (p *doctorProcess) doctor(want int, args ...string) (printed string) {
	p.T.Helper()
	before := p.files()
	printed, code := p.Run(append([]string{"doctor"}, args...)...)
	if code != want {
		p.T.Errorf("%v: exit %d\n%s", args, code, printed)
	}
	for _, secret := range []string{
		testkit.ClientSecret, url.QueryEscape(testkit.ClientSecret), testEncryptionKey,
		testkit.SuperuserPassword,
	} {
		if strings.Contains(printed, secret) {
			p.T.Errorf("%v: it prints a secret\n%s", args, printed)
		}
	}
	if after := p.files(); !slices.Equal(before, after) {
		p.T.Errorf("%v: there were the files %v, and now %v", args, before, after)
	}
	return printed
}

// expectDoctor runs the command, and checks for some words in what it prints.
func (p *doctorProcess) expectDoctor(want int, words string, args ...string) {
	p.T.Helper()
	if printed := p.doctor(want, args...); !strings.Contains(printed, words) {
		p.T.Errorf("%v: it does not say %q:\n%s", args, words, printed)
	}
}

// useWrongSecret changes the plugin sheets so that its provider does not accept its secret.
func (p *doctorProcess) useWrongSecret() {
	p.T.Helper()
	endpoint := serveTokenEndpoint(p.T, refuseClient) + "/token"
	fields := map[string]any{"tokenEndpoint": endpoint, "clientSecret": testkit.ClientSecret}
	if got := p.UpdatePlugin(pluginID(p.Backend, "sheets"), fields); got.Status != http.StatusOK {
		p.T.Fatal(got.Body)
	}
}

// Before the first start there is no data folder, and the command makes none.
func TestDoctorBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	p := newDoctorProcess(t)
	printed := p.doctor(0)
	if !strings.HasSuffix(printed, "\n1 warning.\n") ||
		!strings.Contains(printed, "warning  Nothing answers at "+p.URL) {
		t.Errorf("printed:\n%s", printed)
	}
}

// The command finds nothing wrong beside a running service, and says so if the service does not run.
func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	p := newDoctorProcess(t)
	p.Start()
	added := addPlugin(p.Backend, "sheets", nil)
	addPlugin(p.Backend, "off", func(fields map[string]any) { fields["enabled"] = false })
	printed := p.doctor(0)
	if !strings.HasPrefix(printed, "Checking 2 plugins…\n") || added.Provider.Checks() != 1 ||
		!strings.HasSuffix(printed, "\nNothing wrong was found at 2 plugins. A sign-in proves it.\n") {
		t.Errorf("printed:\n%s", printed)
	}
	if printed := p.doctor(0, "--json"); !strings.HasSuffix(printed, "\n[]") {
		t.Errorf("as JSON:\n%s", printed)
	}
	p.Terminate()
	p.expectDoctor(0, "Nothing answers at "+p.URL)
	p.expectDoctor(0, "Checking 1 plugin…", "--dir", "elsewhere")
	noDatabase := []byte(strings.Repeat("this is no database, and longer than the header of one. ", 4))
	if err := os.WriteFile(filepath.Join(p.Dir, "pb_data", "data.db"), noDatabase, 0o600); err != nil {
		t.Fatal(err)
	}
	p.expectDoctor(1, "The database in pb_data cannot be read.")
}

// A hint is nothing wrong.
func TestDoctorCommandHints(t *testing.T) {
	t.Parallel()
	p := newDoctorProcess(t)
	p.Env = append(p.Env, "OLD_ENCRYPTION_KEY="+otherEncryptionKey, "TOKENS=sealed", "API_HOSTS=localhost:1")
	p.Start()
	printed := p.doctor(0)
	const want = "1 hint.\nNothing wrong was found at 1 plugin. A sign-in proves it.\n"
	if !strings.HasSuffix(printed, want) ||
		!strings.Contains(printed, "\nhint     OLD_ENCRYPTION_KEY still opens sealed tokens.") {
		t.Errorf("printed:\n%s", printed)
	}
	p.Env = append(p.Env, "OLD_ENCRYPTION_KEY="+testEncryptionKey)
	p.expectDoctor(0, "OLD_ENCRYPTION_KEY is the same as ENCRYPTION_KEY.")
}

// What is wrong is printed for people and as JSON, and logged at the start.
func TestDoctorCommandFinds(t *testing.T) {
	t.Parallel()
	p := newDoctorProcess(t)
	p.Start()
	addPlugin(p.Backend, "sheets", nil)
	p.useWrongSecret()
	const want = `error    sheets   The provider does not accept the client ID or the secret.
         Why    Nobody can sign in.
         Fix    Enter the field clientSecret of the plugin sheets in the dashboard again; ` +
		`if it is right, check clientId and tokenAuth.

1 error.
plugin-oauth: not all is well; fix the errors and run doctor again
`
	if printed := p.doctor(1); !strings.HasSuffix(printed, want) {
		t.Errorf("printed:\n%s", printed)
	}
	printed := p.doctor(1, "--json")
	var findings []doctor.Finding
	array := strings.NewReader(printed[max(0, strings.Index(printed, "[")):])
	if err := json.NewDecoder(array).Decode(&findings); err != nil || len(findings) != 1 ||
		findings[0].Plugin != "sheets" || findings[0].Level != doctor.LevelError {
		t.Errorf("as JSON: %v\n%s", err, printed)
	}
	p.Env = append(p.Env, "FLY_APP_NAME=my-backend")
	p.expectDoctor(1, "1 error, 1 warning.\n")
	p.expectDoctor(1, "warning           Requests come with the header Fly-Client-IP")

	// The start says the same.
	p.Terminate()
	p.Start()
	for _, warning := range []string{
		`level=WARN msg="The provider does not accept the client ID or the secret." plugin=sheets ` +
			`why="Nobody can sign in." mend="Enter the field clientSecret`,
		`level=WARN msg="Requests come with`,
	} {
		eventually(t, "the start warns", func() bool { return strings.Contains(p.Out.String(), warning) })
	}
	if printed := p.Out.String(); strings.Contains(printed, testkit.ClientSecret) {
		t.Errorf("the start printed\n%s", printed)
	}
	p.Terminate()
	p.expectDoctor(1, "1 error, 2 warnings.\n")
}

// With a variable that is not valid, nothing else is checked.
func TestDoctorOfWrongConfiguration(t *testing.T) {
	t.Parallel()
	p := newDoctorProcess(t)
	p.Env = append(p.Env, "TOKEN_ENDPOINT=nowhere")
	printed := p.doctor(1)
	if !strings.Contains(printed, "error    The configuration is not valid.\n") ||
		!strings.Contains(printed, "Fix    TOKEN_ENDPOINT must be an absolute URL") {
		t.Errorf("printed:\n%s", printed)
	}
}

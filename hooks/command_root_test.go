package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plugin-oauth/internal/testkit"
)

// ran is what a command has printed, and its exit code.
type ran struct {
	printed string
	code    int
}

// No command but serve leaves anything behind, and serve does not if it is used wrongly. Each says what it
// has to.
func TestCommandsLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const help = "Signs people in to design-tool plugins with OAuth\n\nUsage:\n"
	const noDatabase = "there is no database in pb_data yet; start the service once with plugin-oauth serve"
	const notServe = `unknown command "servee" for "plugin-oauth"; did you mean serve?`
	const unknown, ofSuperuser = "unknown command ", ` for "plugin-oauth superuser"`
	const atServe = "did you mean plugin-oauth serve --http?"
	const serveUsage = "\n\nUsage:\n  plugin-oauth serve [domain(s)] [flags]\n\nFlags:"
	for arguments, want := range map[string]ran{
		"":                   {printed: help},
		"help":               {printed: help},
		"--help":             {printed: help},
		"--dir=elsewhere":    {printed: help},
		"version":            {printed: "plugin-oauth version "},
		"--version":          {printed: "plugin-oauth version "},
		"-v":                 {printed: "plugin-oauth version "},
		"help serve":         {printed: "Starts the server (on 127.0.0.1:8787 if neither"},
		"help superuser otp": {printed: "Creates a new OTP"},
		"serve --help":       {printed: "Starts the server"},
		"superuser":          {printed: "Makes, changes and deletes admins"},
		"superuser --help":   {printed: "Makes, changes and deletes admins"},
		"providers":          {printed: "PROVIDER "},
		"doctor":             {printed: "Checking 1 plugin…"},
		"servee":             {printed: notServe, code: 1},
		"help servee":        {printed: notServe, code: 1},
		"superuser upsrt":    {printed: unknown + `"upsrt"` + ofSuperuser + "; did you mean", code: 1},
		"help superuser x":   {printed: unknown + `"x"` + ofSuperuser + "\n\nUsage", code: 1},
		"superuser list":     {printed: unknown + `"list"` + ofSuperuser, code: 1},
		"doctor now":         {printed: `unknown command "now" for "plugin-oauth doctor"`, code: 1},
		"--bogus":            {printed: "unknown flag: --bogus\n\nUsage:", code: 1},
		"doctor --jsn":       {printed: "unknown flag: --jsn; did you mean --json?\n\nUsage:", code: 1},
		"serve --htp 8787":   {printed: "unknown flag: --htp; did you mean --http?" + serveUsage, code: 1},
		"serve --port 8787":  {printed: "unknown flag: --port; did you mean --http?" + serveUsage, code: 1},
		"serve -p 8787":      {printed: "unknown shorthand flag: 'p' in -p; did you mean --http?", code: 1},
		"serve --data-dir x": {printed: "unknown flag: --data-dir; did you mean --dir?", code: 1},
		"--http 8787":        {printed: "unknown flag: --http; " + atServe, code: 1},
		"--port=8787":        {printed: "unknown flag: --port; " + atServe, code: 1},
		"doctor --http 8787": {printed: "unknown flag: --http; " + atServe, code: 1},
		"--jsn": {
			printed: "unknown flag: --jsn; did you mean plugin-oauth doctor --", code: 1,
		},
		"serve --dri x":        {printed: "unknown flag: --dri; did you mean --dir?" + serveUsage, code: 1},
		"serve --http":         {printed: "flag needs an argument: --http" + serveUsage, code: 1},
		"serve 8788":           {printed: `"8788" is not a domain; for the port write --http 8788`, code: 1},
		"serve --http x":       {printed: `--http "x" has no port; write it like x:8787`, code: 1},
		"serve --log-format x": {printed: "--log-format must be text or json", code: 1},
		"migrate":              {printed: noDatabase, code: 1},
		"migrate up":           {printed: noDatabase, code: 1},
		"migrate history-sync": {printed: noDatabase, code: 1},
		"superuser upsert":     {printed: noDatabase, code: 1},
		"superuser create a@plugin.example longer": {printed: noDatabase, code: 1},
		"superuser delete a@plugin.example":        {printed: noDatabase, code: 1},
		"superuser ips":                            {printed: noDatabase, code: 1},
		"rekey":                                    {printed: "ENCRYPTION_KEY must be the key", code: 1},
	} {
		t.Run(arguments, func(t *testing.T) {
			t.Parallel()
			p := testkit.NewProcess(t)
			out, code := p.Run(strings.Fields(arguments)...)
			printed := strings.TrimPrefix(out, "plugin-oauth: ")
			isTwice := strings.Count(out, "Usage:") > 1
			if code != want.code || !strings.HasPrefix(printed, want.printed) || isTwice {
				t.Errorf("exit %d\n%s", code, out)
			}
			if entries, err := os.ReadDir(p.Dir); err != nil || len(entries) != 0 {
				t.Errorf("the folder holds %v, %v", entries, err)
			}
		})
	}
}

// A start that its configuration stops leaves nothing behind, either.
func TestInvalidStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	p.Env = append(p.Env, "PROVIDER=gogle")
	out, code := p.Run("serve", "--http", "127.0.0.1:0")
	if code != 1 || !strings.HasSuffix(out, "not \"gogle\"; did you mean google?\n") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if entries, err := os.ReadDir(p.Dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// With a database, the commands work on it.
func TestCommandsWithDatabase(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	if err := os.CopyFS(filepath.Join(p.Dir, "pb_data"), os.DirFS(testkit.MigratedDir(t))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ arguments, want string }{
		{arguments: "superuser upsert admin@plugin.example long-enough", want: "Successfully saved"},
		{arguments: "superuser update admin@plugin.example longer-one", want: "Successfully changed"},
		{arguments: "migrate up", want: "No new migrations to apply."},
		{arguments: "superuser ips", want: "Successfully cleared"},
	} {
		out, code := p.Run(strings.Fields(test.arguments)...)
		if code != 0 || !strings.Contains(out, test.want) {
			t.Errorf("%s: exit %d\n%s", test.arguments, code, out)
		}
	}
}

// What keeps the data folder from being made or written gets the same advice.
func TestUnusableDataFolder(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	file := filepath.Join(p.Dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(p.Dir, "pb_data", "data.db") // in the place of a file
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	const advice = "\nThe data folder must be writable. Choose another with --dir, or change its owner.\n"
	for folder, want := range map[string]string{
		filepath.Join(file, "pb_data"): "plugin-oauth: the data folder cannot be used: mkdir ",
		"pb_data":                      "plugin-oauth: unable to open database file",
	} {
		out, code := p.Run("serve", "--http", "127.0.0.1:0", "--dir", folder)
		if code != 1 || !strings.HasPrefix(out, want) || !strings.HasSuffix(out, advice) {
			t.Errorf("%s: exit %d\n%s", folder, code, out)
		}
	}
}

// PocketBase's flags say what they do here, and nothing that is not so.
func TestFlagsAreExplained(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	out, _ := p.Run("serve", "--help")
	for _, never := range []string{"8090", "sql statements", "CORS allowed", "PocketBase data"} {
		if strings.Contains(out, never) {
			t.Errorf("it says %q:\n%s", never, out)
		}
	}
	for _, words := range []string{"ALLOWED_ORIGINS", "ENCRYPTION_KEY", "127.0.0.1:8787", "TLS_CERT_FILE"} {
		if !strings.Contains(out, words) {
			t.Errorf("it does not say %q:\n%s", words, out)
		}
	}
}

package hooks

import (
	"cmp"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/spf13/cobra"
)

// NewProvidersCommand lists the providers that plugin-oauth knows, or shows one with what to paste where.
func NewProvidersCommand() *cobra.Command {
	return &cobra.Command{
		Use:          "providers [name]",
		Short:        "Lists the providers that plugin-oauth knows, or shows one with what to paste where",
		Example:      "plugin-oauth providers google",
		Args:         cobra.MaximumNArgs(1),
		SilenceUsage: true,
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listPresets(command.OutOrStdout())
			}
			name := strings.ToLower(args[0])
			row, found := findPreset(name)
			if found {
				return row.show(command.OutOrStdout())
			}
			mend := "plugin-oauth providers lists those that are known; any other works with AUTHORIZE_ENDPOINT and TOKEN_ENDPOINT"
			if similar := similarPresets(name); len(similar) > 0 {
				mend = "did you mean " + strings.Join(similar, " or ") + "?"
			}
			return fmt.Errorf("%q is unknown; %s", args[0], mend)
		},
	}
}

func listPresets(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PROVIDER\tNAME\tGOOD TO KNOW")
	for _, row := range presets {
		fmt.Fprintf(table, "%s\t%s\t%s\n", row.Name, row.Title, row.Hint)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d providers. What to paste where: plugin-oauth providers NAME\nAny other provider works too: set AUTHORIZE_ENDPOINT and TOKEN_ENDPOINT.\n", len(presets))
	return err
}

// show says what to do at the provider and here, and what the preset sets.
func (p preset) show(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.Title)
	if p.Hint != "" {
		fmt.Fprintf(&b, "%s\n", p.Hint)
	}
	fmt.Fprintf(&b, "\n1. Make an app at %s\n", cmp.Or(p.Console, "the provider, in its developer console."))
	b.WriteString("   Its redirect URI is https://YOUR-HOST/redirect, or https://YOUR-HOST/SLUG/redirect for a plugin of the dashboard.\n\n")
	b.WriteString("2. Put this into .env, or into the fields of the dashboard (clientId is CLIENT_ID, and so on):\n\n")
	fmt.Fprintf(&b, "   PROVIDER=%s\n   CLIENT_ID=\n   CLIENT_SECRET=\n   SCOPE=\n", p.Name)
	if p.Tenant != nil {
		b.WriteString("   TENANT=\n")
	}
	b.WriteString("\n   SCOPE: what the plugin may do.")
	if p.ScopeSeparator != "" {
		fmt.Fprintf(&b, " Put %s between.", map[string]string{" ": "spaces", ",": "commas"}[p.ScopeSeparator])
	}
	if p.RefreshScope != "" {
		fmt.Fprintf(&b, " For a refresh token, %s is one of them.", p.RefreshScope)
	}
	b.WriteString("\n")
	if p.Tenant != nil {
		fmt.Fprintf(&b, "   TENANT: %s.\n", p.Tenant.explain())
	}
	switch {
	case p.RevokeEndpoint == "":
		b.WriteString("   /revoke: not known for this provider.\n")
	case p.RevokeToken != "":
		fmt.Fprintf(&b, "   /revoke: send the %s token.\n", p.RevokeToken)
	}
	b.WriteString("\n3. These come with the provider's name. One that you set yourself wins.\n")
	b.WriteString("   With a TOKEN_ENDPOINT of your own, REVOKE_ENDPOINT, ISSUER and what has no name are left out.\n\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{
		{"AUTHORIZE_ENDPOINT", p.AuthorizeEndpoint},
		{"TOKEN_ENDPOINT", p.TokenEndpoint},
		{"(to refresh)", p.RefreshEndpoint},
		{"(with the code)", p.TokenParams},
		{"REVOKE_ENDPOINT", p.RevokeEndpoint},
		{"ISSUER", p.Issuer},
		{"AUTHORIZE_PARAMS", p.AuthorizeParams},
		{"TOKEN_AUTH", p.TokenAuth},
		{"PKCE", cmp.Or(p.PKCE, "on")},
	} {
		if line[1] != "" {
			fmt.Fprintf(table, "   %s\t%s\n", line[0], line[1])
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// explain says what to write for a tenant.
func (t *tenant) explain() string {
	if t.Fixed {
		return fmt.Sprintf("yours, such as %s", t.Example)
	}
	if t.Default != "" {
		return fmt.Sprintf("the %s, such as %s. Blank: %s, unless the plugin sends %s=…", t.Name, t.Example, t.Default, t.Name)
	}
	return fmt.Sprintf("the %s, such as %s. Blank: the plugin sends %s=… with /authorize, /refresh and /revoke", t.Name, t.Example, t.Name)
}

// NewRekeyCommand seals the client secrets of the dashboard's plugins under a new key.
func NewRekeyCommand(app core.App) *cobra.Command {
	return &cobra.Command{
		Use:   "rekey",
		Short: "Seals the client secrets of the dashboard's plugins under NEW_ENCRYPTION_KEY instead of ENCRYPTION_KEY",
		Long: `Seals the client secrets of the dashboard's plugins under a new key.

1. Set NEW_ENCRYPTION_KEY beside ENCRYPTION_KEY, in the environment or in .env;
   ` + howToMakeKey + `
2. Run this command.
3. Set ENCRYPTION_KEY to the new key, take NEW_ENCRYPTION_KEY away, and start the service again.
   Until then it cannot read the client secrets.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			get, err := environment(".")
			if err != nil {
				return err
			}
			oldKey, newKey := get("ENCRYPTION_KEY"), get("NEW_ENCRYPTION_KEY")
			switch {
			case len(oldKey) != encryptionKeyLength:
				return fmt.Errorf("ENCRYPTION_KEY must be the key with %d characters that the service ran with until now", encryptionKeyLength)
			case len(newKey) != encryptionKeyLength || newKey == oldKey:
				return fmt.Errorf("NEW_ENCRYPTION_KEY must be set to another key with %d characters; %s", encryptionKeyLength, howToMakeKey)
			}
			if err := app.RunAllMigrations(); err != nil {
				return err
			}
			count, err := rekey(app, oldKey, newKey)
			if err != nil {
				return err
			}
			if count == 0 {
				return fmt.Errorf("there is no client secret in %s; choose the right folder with --dir", app.DataDir())
			}
			fmt.Fprintf(command.OutOrStdout(), "%d client secrets are sealed under NEW_ENCRYPTION_KEY. Make it the ENCRYPTION_KEY, and start the service again.\n", count)
			return nil
		},
	}
}

// NewDoctorCommand checks the configuration, the machine and the providers. It works beside a running service, and must be
// executed before the app is bootstrapped: that would make the data folder, migrate it and empty its folder for temporary files.
func NewDoctorCommand(app core.App) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:          "doctor",
		Short:        "Checks the configuration, the data folder and the providers, and says how to mend what is wrong",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			findings, plugins := runDoctor(command, app.DataDir())
			out := command.OutOrStdout()
			var err error
			if asJSON {
				err = json.MarshalWrite(out, findings)
			} else {
				err = printFindings(out, findings, plugins)
			}
			if err != nil {
				return err
			}
			if count(findings, levelError) > 0 {
				return errors.New("not all is well; mend the errors and run doctor again")
			}
			return nil
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print the findings as a JSON array")
	return command
}

// runDoctor returns what the doctor found, and how many plugins it checked.
func runDoctor(command *cobra.Command, dataDir string) ([]finding, int) {
	config, err := LoadConfig(".")
	if err == nil {
		err = config.Validate()
	}
	if err != nil {
		return []finding{{levelError, "", "The configuration is not valid.", "The service does not start.", err.Error() + "."}}, 0
	}
	dashboard, err := readDashboard(config, dataDir)
	var unreadable []finding
	if err != nil {
		unreadable = []finding{{levelError, "", "The database in " + dataDir + " cannot be read.", "The service does not start.",
			"Restore a backup, or choose another folder with --dir."}}
	}
	d := newDoctor(config, dashboard, dataDir)
	// The app swallows what commands print as errors.
	fmt.Fprintf(os.Stderr, "Checking %s…\n", plural(len(d.plugins), "plugin"))
	d.done = func(p *Plugin) { fmt.Fprintf(os.Stderr, "  %s is checked.\n", p.label()) }
	return append(unreadable, d.examine(command.Context())...), len(d.plugins)
}

// readDashboard reads the dashboard's plugins and writes nothing. Where there are none yet, it returns none.
func readDashboard(config Config, dataDir string) (map[string]*Plugin, error) {
	path := filepath.Join(dataDir, "data.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	source := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		// No service has it open. SQLite would make files beside it, which may then belong to somebody else than the service.
		source.RawQuery += "&immutable=1"
	}
	db, err := dbx.Open("sqlite", source.String())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var exists bool
	if err := db.NewQuery("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'plugins'").Row(&exists); err != nil || !exists {
		return nil, err
	}
	return (&plugins{config: config}).read(db)
}

// printFindings writes them for people, with a line at the end that sums them up.
func printFindings(out io.Writer, findings []finding, plugins int) error {
	width := 0
	for _, f := range findings {
		if f.Plugin != "" {
			width = max(width, len(f.Plugin)+3)
		}
	}
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%-9s%-*s%s\n         Why    %s\n         Mend   %s\n\n", f.Level, width, f.Plugin, f.What, f.Why, f.Mend)
	}
	mistakes, warnings := count(findings, levelError), count(findings, levelWarning)
	switch {
	case mistakes > 0 && warnings > 0:
		fmt.Fprintf(&b, "%s, %s.\n", plural(mistakes, "error"), plural(warnings, "warning"))
	case mistakes > 0:
		fmt.Fprintf(&b, "%s.\n", plural(mistakes, "error"))
	case warnings > 0:
		fmt.Fprintf(&b, "%s.\n", plural(warnings, "warning"))
	default:
		fmt.Fprintf(&b, "Nothing wrong was found at %s. A sign-in proves it.\n", plural(plugins, "plugin"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func count(findings []finding, level string) (n int) {
	for _, f := range findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

package hooks

import (
	"context"
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

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/spf13/cobra"

	"plugin-oauth/hooks/alert"
	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
)

// NewDoctorCommand returns the command that checks the configuration, the machine and the providers. It works
// beside a running service, and must be executed before the app is bootstrapped: bootstrapping would create
// the data folder, migrate it and empty its folder for temporary files.
func NewDoctorCommand(app core.App) *cobra.Command {
	var asJSON, testAlert bool
	command := &cobra.Command{
		Use: "doctor",
		Short: "Checks the configuration, the data folder and the providers, and says how to fix " +
			"what is wrong",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			findings, checked := runDoctor(command, app.DataDir())
			if testAlert {
				findings = append(sendTestAlert(command.Context()), findings...)
			}
			out := command.OutOrStdout()
			var err error
			if asJSON {
				err = json.MarshalWrite(out, findings)
			} else {
				err = printFindings(out, findings, checked)
			}
			if err != nil {
				return err
			}
			if countLevel(findings, doctor.LevelError) > 0 {
				return errors.New("not all is well; fix the errors and run doctor again")
			}
			return nil
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print the findings as a JSON array")
	command.Flags().BoolVar(&testAlert, "alert", false, "also send a test message to ALERT_URL")
	return command
}

// sendTestAlert sends a message to ALERT_URL, and returns what is wrong if it does not arrive.
func sendTestAlert(ctx context.Context) []doctor.Finding {
	config, err := LoadConfig(".")
	if err == nil {
		err = config.Validate()
	}
	finding := doctor.Finding{
		Level: doctor.LevelError,
		What:  "ALERT_URL is not set.",
		Why:   "Nobody is told when a plugin begins to fail.",
		Fix:   "Set it to the address of a webhook, such as one of Slack, Mattermost or Discord.",
	}
	switch {
	case err != nil:
		return nil // it has been found
	case config.AlertURL == "":
		return []doctor.Finding{finding}
	}
	ctx, cancel := context.WithTimeout(ctx, alert.DefaultTimeout)
	defer cancel()
	text := config.alertFrom() + "this is a test. A message comes here when a plugin begins to fail, and " +
		"when it works again."
	if err := alert.Post(ctx, config.AlertURL, text); err != nil {
		finding.What = "The test message to ALERT_URL did not arrive: " + err.Error() + "."
		finding.Fix = "Copy the address of the webhook into ALERT_URL once more."
		return []doctor.Finding{finding}
	}
	fmt.Fprintln(os.Stderr, "A test message was sent to ALERT_URL.")
	return nil
}

// runDoctor returns what the doctor found, and how many plugins it checked.
func runDoctor(command *cobra.Command, dataDir string) ([]doctor.Finding, int) {
	config, err := LoadConfig(".")
	if err == nil {
		err = config.Validate()
	}
	if err != nil {
		return append(config.mistakes, doctor.Finding{
			Level: doctor.LevelError,
			What:  "The configuration is not valid.",
			Why:   "The service does not start.",
			Fix:   plugins.Sentence(err.Error()),
		}), 0
	}
	var unreadable []doctor.Finding
	options := config.doctorOptions()
	options.DataDir = dataDir
	if err := checkTables(dataDir); err != nil {
		unreadable = []doctor.Finding{{
			Level: doctor.LevelError,
			What:  "The database in " + dataDir + " is missing or empty.",
			Why:   "The service does not start.",
			Fix:   plugins.Sentence(err.Error()),
		}}
	} else if options.Dashboard, err = readDashboard(config, dataDir); err != nil {
		unreadable = []doctor.Finding{{
			Level: doctor.LevelError,
			What:  "The database in " + dataDir + " cannot be read.",
			Why:   "The service does not start.",
			Fix:   "Restore a backup, or choose another folder with --dir.",
		}}
	}
	unreadable = append(unreadable, findInCluster(command.Context(), config, dataDir)...)
	// The app swallows what a command writes to its error output.
	options.Done = func(p *plugins.Plugin) {
		fmt.Fprintf(os.Stderr, "  %s is checked.\n", plugins.DisplaySlug(p.Slug))
	}
	d := doctor.New(options)
	fmt.Fprintf(os.Stderr, "Checking %s…\n", plural(len(d.Plugins()), "plugin"))
	return append(unreadable, d.Check(command.Context())...), len(d.Plugins())
}

// findInCluster returns what is wrong with the cluster of this machine, if it is in one.
func findInCluster(ctx context.Context, config Config, dataDir string) []doctor.Finding {
	if config.Cluster == nil {
		return nil
	}
	view, err := cluster.Look(ctx, config.clusterIn(dataDir))
	if err != nil {
		return []doctor.Finding{{
			Level: doctor.LevelError,
			What:  "What this machine knows of the cluster cannot be read.",
			Why:   "Whether the machines are well is not known.",
			Fix:   plugins.Sentence(err.Error()),
		}}
	}
	return clusterFindings(view)
}

// readDashboard reads the dashboard's plugins without writing anything. If there is no database yet, it
// returns nil.
func readDashboard(config Config, dataDir string) (map[string]*plugins.Plugin, error) {
	path := filepath.Join(dataDir, "data.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	db, err := openReadOnly(path)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var exists bool
	table := db.NewQuery("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'plugins'")
	if err := table.Row(&exists); err != nil || !exists {
		return nil, err
	}
	return plugins.ReadDatabase(db, config.pluginDefaults())
}

// openReadOnly opens a database without writing anything.
func openReadOnly(path string) (*dbx.DB, error) {
	source := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	source.RawQuery = "mode=ro&_pragma=busy_timeout(10000)"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		// No service has it open. Otherwise SQLite would create files beside it, perhaps owned by another
		// user than the service's.
		source.RawQuery += "&immutable=1"
	}
	return dbx.Open("sqlite", source.String())
}

// printFindings prints the findings for people, with a summary in the last line.
func printFindings(out io.Writer, findings []doctor.Finding, checked int) error {
	width := 0
	for _, f := range findings {
		if f.Plugin != "" {
			width = max(width, len(f.Plugin)+3)
		}
	}
	var b strings.Builder
	writeFindings(&b, findings, width)
	var counts []string
	for _, level := range []doctor.Level{doctor.LevelError, doctor.LevelWarning, doctor.LevelHint} {
		if n := countLevel(findings, level); n > 0 {
			counts = append(counts, plural(n, string(level)))
		}
	}
	if len(counts) > 0 {
		fmt.Fprintf(&b, "%s.\n", strings.Join(counts, ", "))
	}
	if countLevel(findings, doctor.LevelHint) == len(findings) {
		fmt.Fprintf(&b, "Nothing wrong was found at %s. A sign-in proves it.\n", plural(checked, "plugin"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeFindings writes each finding in three lines. Those of plugins have a column of this width for them.
func writeFindings(out io.Writer, findings []doctor.Finding, width int) {
	for _, f := range findings {
		fmt.Fprintf(out, "%-9s%-*s%s\n         Why    %s\n         Fix    %s\n\n", f.Level, width,
			f.Plugin, f.What, f.Why, f.Fix)
	}
}

func countLevel(findings []doctor.Finding, level doctor.Level) (n int) {
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

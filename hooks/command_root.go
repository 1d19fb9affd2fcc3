package hooks

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pocketbase/pocketbase/cmd"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/plugins/migratecmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"plugin-oauth/internal/typo"
)

// UsageError is the error of a command that was written wrong.
type UsageError struct {
	// Err says what is wrong.
	Err error

	// Usage says how the command is used, in several lines.
	Usage string
}

// Error implements error, without the usage.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *UsageError) Unwrap() error { return e.Err }

// AddCommands adds all commands to the root of a PocketBase app. Only serve makes a data folder; those that
// need a database bootstrap the app if there is one. The version is the one that the program reports.
func AddCommands(app core.App, root *cobra.Command, version string) {
	root.Use, root.Short = "plugin-oauth", "Signs people in to design-tool plugins with OAuth"
	root.Version, root.Args = version, cobra.ArbitraryArgs
	haveSubcommandsOnly(root)
	root.FParseErrWhitelist.UnknownFlags = false // PocketBase has read its own by now
	root.SetFlagErrorFunc(explainFlagError)
	for name, usage := range map[string]string{
		"dir": "the data folder",
		"dev": "print what PocketBase logs, but not its SQL, which has secrets in it",
		"encryptionEnv": "the name of a variable with a key for PocketBase's own settings (default none);\n" +
			"client secrets are encrypted with ENCRYPTION_KEY",
		"queryTimeout": "the seconds that a query of the dashboard may take",
	} {
		root.PersistentFlags().Lookup(name).Usage = usage
	}
	root.SetHelpCommand(newHelpCommand())
	root.AddCommand(NewServeCommand(app, version), newSuperuserCommand(app), NewRekeyCommand(app),
		NewBackupCommand(app), NewRestoreCommand(app), NewClusterCommand(app),
		NewProvidersCommand(), NewDoctorCommand(app), NewDemoCommand(), newVersionCommand())
	addMigrateCommand(app, root)
}

// otherFlags are flags that other programs have, with ours that do the same.
var otherFlags = map[string]string{
	"port": "http", "p": "http", "listen": "http", "bind": "http", "address": "http", "addr": "http",
	"host": "http", "socket": "http",
	"data": "dir", "datadir": "dir", "d": "dir",
	"json": "log-format", "logformat": "log-format",
}

// explainFlagError names the flag that was meant by one that there is not: the nearest, one of the same
// meaning, or one of another command.
func explainFlagError(command *cobra.Command, err error) error {
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		word := unknown.GetSpecifiedName()
		if meant := flagsMeant(command, word); len(meant) > 0 {
			err = fmt.Errorf("%w; did you mean --%s?", err, strings.Join(meant, " or --"))
		} else {
			for _, other := range command.Root().Commands() {
				if meant := flagsMeant(other, word); other != command && len(meant) > 0 {
					err = fmt.Errorf("%w; did you mean %s --%s?", err, other.CommandPath(), meant[0])
					break
				}
			}
		}
	}
	return &UsageError{Err: err, Usage: command.UsageString()}
}

// flagsMeant returns the flags of a command that somebody may mean by a word.
func flagsMeant(command *cobra.Command, word string) []string {
	if own := otherFlags[typo.Compact(word)]; own != "" && command.Flag(own) != nil {
		return []string{own}
	}
	var names []string
	for _, flags := range []*pflag.FlagSet{command.LocalFlags(), command.InheritedFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	}
	return typo.Nearest(strings.ToLower(word), names)
}

// unknownCommand is the error for a word that is no command of another.
func unknownCommand(parent *cobra.Command, word string) error {
	var names []string
	for _, command := range parent.Commands() {
		names = append(names, command.Name())
	}
	err := fmt.Errorf("unknown command %q for %q", word, parent.CommandPath())
	if nearest := typo.Nearest(strings.ToLower(word), names); len(nearest) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(nearest, " or "))
	}
	return &UsageError{Err: err, Usage: parent.UsageString()}
}

// haveSubcommandsOnly makes a command say how it is used, if none of its subcommands is named.
func haveSubcommandsOnly(parent *cobra.Command) {
	parent.SilenceUsage, parent.DisableFlagsInUseLine = true, true
	parent.RunE = func(_ *cobra.Command, words []string) error {
		if len(words) == 0 {
			return parent.Help()
		}
		return unknownCommand(parent, words[0])
	}
}

func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:          "help [command]",
		Short:        "Says how a command is used",
		SilenceUsage: true,
		RunE: func(help *cobra.Command, words []string) error {
			command, rest, err := help.Root().Find(words)
			if err != nil {
				return err
			}
			if len(rest) > 0 && command.HasSubCommands() {
				return unknownCommand(command, rest[0])
			}
			command.InitDefaultHelpFlag()
			command.InitDefaultVersionFlag()
			return command.Help()
		},
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:          "version",
		Short:        "Prints the version",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			root := command.Root()
			_, err := fmt.Fprintf(command.OutOrStdout(), "%s version %s\n", root.DisplayName(), root.Version)
			return err
		},
	}
}

// newSuperuserCommand returns PocketBase's command for admins. It works on a database that exists.
func newSuperuserCommand(app core.App) *cobra.Command {
	superuser := cmd.NewSuperuserCommand(app)
	superuser.Short = "Makes, changes and deletes admins of the dashboard"
	haveSubcommandsOnly(superuser)
	for _, command := range superuser.Commands() {
		command.PreRunE = func(*cobra.Command, []string) error { return openDatabase(app) }
	}
	return superuser
}

// addMigrateCommand adds PocketBase's command for migrations. It works on a database that exists.
func addMigrateCommand(app core.App, root *cobra.Command) {
	migratecmd.MustRegister(app, root, migratecmd.Config{Dir: "pb_migrations"})
	for _, command := range root.Commands() {
		if command.Name() != "migrate" {
			continue
		}
		command.Short = "Changes the tables of the database; serve does so by itself"
		command.PreRunE = func(_ *cobra.Command, words []string) error {
			if len(words) > 0 && words[0] == "create" {
				return nil // a file beside the program's own
			}
			lockDataDir(app) // a service that runs must not lose its tables
			return openDatabase(app)
		}
	}
}

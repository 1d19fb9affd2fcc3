package hooks

import (
	"errors"
	"fmt"

	"github.com/pocketbase/pocketbase/core"
	"github.com/spf13/cobra"

	"plugin-oauth/hooks/plugins"
)

// NewRekeyCommand returns the command that seals the client secrets of the dashboard's plugins under a new
// key.
func NewRekeyCommand(app core.App) *cobra.Command {
	return &cobra.Command{
		Use: "rekey",
		Short: "Seals the client secrets of the dashboard's plugins under NEW_ENCRYPTION_KEY instead of " +
			"ENCRYPTION_KEY",
		Long: `Seals the client secrets of the dashboard's plugins under a new key.

1. Set NEW_ENCRYPTION_KEY beside ENCRYPTION_KEY, in the environment or in .env;
   ` + plugins.HowToMakeKey + `
2. Run this command.
3. Set ENCRYPTION_KEY to the new key, take NEW_ENCRYPTION_KEY away, and start the service again.
   Until then it cannot read the client secrets.

If a plugin has sealed tokens, set OLD_ENCRYPTION_KEY to the key before in step 3. Then the tokens
that people have stay valid, and each refresh brings one of the new key. Take it away some time later.
Without it, everybody signs in again. The plugin of the environment needs steps 1 and 2 not at all.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			count, err := rekey(app)
			if err != nil {
				return err
			}
			fmt.Fprintf(command.OutOrStdout(), "%d client secrets are sealed under NEW_ENCRYPTION_KEY. "+
				"Make it the ENCRYPTION_KEY, and start the service again. If a plugin has sealed tokens, "+
				"set OLD_ENCRYPTION_KEY to the key before, or everybody signs in again.\n", count)
			return nil
		},
	}
}

// rekey seals the client secrets under the new key, and returns how many there are.
func rekey(app core.App) (int, error) {
	env, err := readEnvironment(".")
	if err != nil {
		return 0, err
	}
	change := plugins.Rekeying{OldKey: env.get("ENCRYPTION_KEY"), NewKey: env.get("NEW_ENCRYPTION_KEY")}
	switch {
	case len(change.OldKey) != plugins.EncryptionKeyLength:
		return 0, fmt.Errorf("ENCRYPTION_KEY must be the key with %d characters that the service ran with "+
			"until now",
			plugins.EncryptionKeyLength)
	case len(change.NewKey) != plugins.EncryptionKeyLength || change.NewKey == change.OldKey:
		return 0, fmt.Errorf("NEW_ENCRYPTION_KEY must be set to another key with %d characters; %s",
			plugins.EncryptionKeyLength, plugins.HowToMakeKey)
	case plugins.IsGuessable(change.NewKey):
		return 0, errors.New("NEW_ENCRYPTION_KEY must not be one character over and over again; " +
			plugins.HowToMakeKey)
	}
	if err := openDatabase(app); err != nil {
		return 0, err
	}
	if err := app.RunAllMigrations(); err != nil {
		return 0, err
	}
	count, err := plugins.Rekey(app, change)
	if err == nil && count == 0 {
		err = fmt.Errorf("there is no client secret in %s; choose the right folder with --dir. Without "+
			"plugins in the dashboard the key may be changed without this command", app.DataDir())
	}
	return count, err
}

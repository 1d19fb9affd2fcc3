package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/spf13/cobra"

	"plugin-oauth/hooks/plugins"
)

// NewBackupCommand returns the command that makes a backup of the data folder. It works beside a running
// service, and must be executed before the app is bootstrapped.
func NewBackupCommand(app core.App) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Makes a backup of the data folder, also while the service runs",
		Long: `Makes a backup of the data folder, also while the service runs: a zip archive that restore and
the dashboard put back. It says which keys are needed to use it. An existing file is not replaced.`,
		Args:         oneFile,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, files []string) error {
			restrictUmask()
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			target, err := filepath.Abs(files[0])
			if err != nil {
				return err
			}
			made := backup{folder: app.DataDir(), target: target, progress: newProgress(os.Stderr)}
			content, err := made.make(ctx)
			if err != nil {
				return orStopped(ctx, err)
			}
			info, err := os.Stat(target)
			if err != nil {
				return err
			}
			fmt.Fprintf(command.OutOrStdout(), "%s has %s (%s). It is checked.\n%s\n", files[0],
				content.summary(), megabytes(info.Size()), content.keys())
			return nil
		},
	}
}

// NewRestoreCommand returns the command that puts a backup back. It needs the data folder alone.
func NewRestoreCommand(app core.App) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Puts a backup back into the data folder, while the service does not run",
		Long: `Puts a backup back into the data folder, while the service does not run: one of the command
backup, or of the dashboard. What is in the folder now is kept in it, in a folder of its own.`,
		Args:         oneFile,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, files []string) error {
			restrictUmask()
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			restoring := restore{
				folder: app.DataDir(), source: files[0], now: time.Now(), progress: newProgress(os.Stderr),
			}
			settings, err := clusterSettings(app.DataDir())
			if err == nil {
				restoring.cluster = &settings
			} else if !errors.Is(err, errNoCluster) {
				return err // what is restored may have to be brought to other machines
			}
			content, aside, err := restoring.run(ctx)
			if err != nil {
				return orStopped(ctx, err)
			}
			out := command.OutOrStdout()
			fmt.Fprintf(out, "%s has %s from the backup.\n", app.DataDir(), content.summary())
			if aside != "" {
				fmt.Fprintf(out, "What was there before is in %s. Delete it once all is well.\n", aside)
			}
			fmt.Fprintln(out, keysAfterRestore(app.DataDir(), content))
			if restoring.cluster != nil {
				fmt.Fprintln(out, onTheOthers(*restoring.cluster))
			}
			return nil
		},
	}
}

func oneFile(command *cobra.Command, files []string) error {
	if len(files) == 1 && files[0] != "" {
		return nil
	}
	return &UsageError{Err: errors.New("name one file"), Usage: command.UsageString()}
}

// orStopped says that a command was interrupted, if that is why it failed.
func orStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, errHalfRestored) {
		return errors.New("stopped before it was done; nothing was changed")
	}
	return err
}

// keysAfterRestore says whether the client secrets of a restored folder can be read with the keys that the
// service would start with here.
func keysAfterRestore(folder string, content backupContent) string {
	config, err := LoadConfig(".")
	if err != nil {
		return content.keys()
	}
	records, err := readDashboard(config, folder)
	if err != nil {
		return content.keys()
	}
	var closed []string
	for _, slug := range content.sealed {
		if plugin := records[slug]; plugin != nil && plugin.State == plugins.SecretUnreadable {
			closed = append(closed, slug)
		}
	}
	switch {
	case len(content.sealed) == 0 && !content.sealsTokens && !content.sealsSettings:
		return "It needs no key."
	case len(closed) > 0:
		return "The ENCRYPTION_KEY here is not the one of the backup, so the client secrets of these " +
			"plugins cannot be read: " + listed(closed) + ". Set it before you start the service."
	case len(content.sealed) > 0:
		return "The ENCRYPTION_KEY fits."
	default:
		return content.keys()
	}
}

package hooks

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// lockName is the name of the file in the data folder that stands for the lock, on Windows only.
const lockName = "lock"

// errFolderInUse says that the data folder is another process's.
var errFolderInUse = errors.New("is used by another process")

// lockDataDir lets this process alone use the data folder of an app, from before the databases are opened
// until the process ends, however it ends. Of two processes with one database, each would know only the
// waiting polls and the logins of its own. Commands that only read, or that change single records, may run
// beside the one that has the folder.
func lockDataDir(app core.App) {
	var lock io.Closer // it goes when it is closed
	app.OnBootstrap().Bind(&hook.Handler[*core.BootstrapEvent]{
		Priority: -1, // before PrepareDataDir, which may delete what another process needs
		Func: func(e *core.BootstrapEvent) error {
			if lock != nil {
				return e.Next()
			}
			var err error
			if lock, err = takeFolder(e.App.DataDir()); err != nil {
				return err
			}
			return e.Next()
		},
	})
}

// takeFolder makes a data folder if there is none, and locks it for this process. The lock is nil where the
// file system has none.
func takeFolder(folder string) (lock io.Closer, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", errDataFolder, err)
	}
	lock, err = lockFolder(folder)
	switch {
	case errors.Is(err, errFolderInUse):
		return nil, fmt.Errorf("the data folder %s %w; stop that one first, or choose another folder with "+
			"--dir", folder, err)
	case err != nil: // some network file systems have no locks
		slog.Warn("the data folder cannot be locked; make sure that no other process uses it",
			"folder", folder, "cause", err.Error())
		return nil, nil
	}
	return lock, nil
}

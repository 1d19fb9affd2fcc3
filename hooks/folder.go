package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/session/sqlite"
)

// PrepareDataDir makes the data folder of an app, and all that is in it, readable by its owner only. Whoever
// reads data.db can make the token of an admin. From then on this process makes no file that others can read.
// If the disk is so full that the databases could not be opened, it makes room. Call it before the app is
// bootstrapped.
func PrepareDataDir(app core.App) {
	app.OnBootstrap().BindFunc(func(e *core.BootstrapEvent) error {
		restrictUmask()
		if err := os.MkdirAll(e.App.DataDir(), 0o700); err != nil {
			return fmt.Errorf("%w: %w", errDataFolder, err)
		}
		tightened, err := tighten(e.App.DataDir())
		if err != nil {
			slog.Warn("the data folder cannot be made private. Others on this machine may read it; make its "+
				"owner the user that runs plugin-oauth", "cause", err.Error())
		} else if tightened {
			slog.Warn("others on this machine could read " + e.App.DataDir() + "; from now on only its " +
				"owner can. If you do not trust them, change the passwords of the admins.")
		}
		makeRoomToStart(e.App.DataDir())
		if err := checkTables(e.App.DataDir()); err != nil {
			return err
		}
		return e.Next()
	})
}

// openDatabase bootstraps an app for a command that works on what the service has stored. If that is nothing,
// it fails, and makes no data folder.
func openDatabase(app core.App) error {
	_, err := os.Stat(filepath.Join(app.DataDir(), "data.db"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return noDatabase(app.DataDir())
	}
	return app.Bootstrap()
}

func noDatabase(folder string) error {
	return fmt.Errorf("there is no database in %s yet; start the service once with plugin-oauth serve, "+
		"or choose the right folder with --dir",
		folder)
}

// errNoTables says that a database is empty.
var errNoTables = errors.New("the database has no tables")

// checkTables fails if the database is there and has no tables, or was taken away by a restore that did not
// end. Else the service would begin anew, and all would seem to be lost. A copy of data.db without its
// data.db-wal is such a database, since what is written goes there first.
func checkTables(folder string) error {
	path := filepath.Join(folder, databaseName)
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(folder, restoringName)); err == nil {
			return fmt.Errorf("a restore into %s did not end; run it again, or move what is in its folder "+
				"%s… back", folder, asidePrefix)
		}
		return nil
	}
	if err != nil {
		return nil // PocketBase reports it
	}
	var tables int
	db, err := openReadOnly(path)
	if err == nil {
		err = db.NewQuery("SELECT count(*) FROM sqlite_master").Row(&tables)
		err = errors.Join(err, db.Close())
	}
	if err != nil || tables > 0 {
		return nil // likewise
	}
	return fmt.Errorf("%w: %s is empty, and the service would begin without its data. If it is a copy, "+
		"copy %[3]s-wal too, from where it comes from, or use plugin-oauth backup. If nothing was ever in "+
		"it, delete %[2]s and start again",
		errNoTables, path, databaseName)
}

// IsFolderError reports whether an error says that the data folder cannot be made, or nothing in it written.
func IsFolderError(err error) bool {
	return errors.Is(err, errDataFolder) || sqlite.IsReadOnly(err) || sqlite.IsUnopenable(err)
}

var errDataFolder = errors.New("the data folder cannot be used")

// makeRoomToStart gives up the reserve if SQLite would have no room for the files that it needs to open a
// database. Versions without a reserve bounded no log, which is then what fills the disk.
func makeRoomToStart(folder string) {
	if !isFull(probeRoom(folder)) {
		return
	}
	if (reserve{path: filepath.Join(folder, reserveName)}).release() {
		slog.Warn("the disk with the data folder is full; its reserve was given up. Make room on the disk.")
		return
	}
	log := filepath.Join(folder, "auxiliary.db")
	if info, err := os.Stat(log); err != nil || info.Size() < 2*maxLog {
		return
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(log + suffix) // one that stays is reported when it is opened
	}
	slog.Warn("the disk with the data folder was full; the log of the dashboard, which took much of it, " +
		"was deleted.")
}

// tighten takes the rights of others from the data folder and from what the service keeps in it, and reports
// whether there were any. What else may be in the folder is left alone.
func tighten(folder string) (changed bool, err error) {
	folder, err = filepath.EvalSymlinks(folder)
	if err != nil {
		return false, err
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if filepath.Dir(path) == folder && path != folder && !isOurs(entry.Name()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !entry.IsDir() && !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.Mode().Perm()&0o077 == 0 {
			return err
		}
		changed = true
		return os.Chmod(path, info.Mode().Perm()&0o700)
	})
	return changed, err
}

// isOurs reports whether the service or PocketBase makes a file or a folder of this name in the data folder.
func isOurs(name string) bool {
	for _, database := range []string{"data.db", "auxiliary.db"} {
		if strings.HasPrefix(name, database) { // -wal and -shm too
			return true
		}
	}
	ours := []string{
		core.LocalBackupsDirName, core.LocalStorageDirName, core.LocalTempDirName, core.LocalNotifyDirName,
		core.LocalAutocertCacheDirName, reserveName, probeName, lockName, restoringName, clusterName,
		leftName,
	}
	return slices.Contains(ours, name) || strings.HasPrefix(name, asidePrefix) ||
		strings.HasPrefix(name, resetPrefix)
}

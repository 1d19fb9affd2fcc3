package hooks

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/session/sqlite"
)

// A backup is a zip archive like those that the dashboard makes, so that each can restore the other's:
// data.db, and what is in the folder storage. The dashboard's log is not in it.
const databaseName = "data.db"

// backupContent is what somebody should know of a backup or of a database.
type backupContent struct {
	plugins, admins, sessions int

	// sealed are the slugs of the plugins whose client secret is encrypted with ENCRYPTION_KEY.
	sealed []string

	// sealsTokens says that the tokens of a plugin of the dashboard are encrypted with it, too.
	sealsTokens bool

	// sealsSettings says that PocketBase's own settings are encrypted, with what --encryptionEnv named.
	sealsSettings bool
}

// summary says how much there is.
func (c backupContent) summary() string {
	return plural(c.plugins, "plugin") + ", " + plural(c.admins, "admin") + " and " +
		plural(c.sessions, "sign-in")
}

// keys says what is needed beside a backup to use it.
func (c backupContent) keys() string {
	var keys []string
	if len(c.sealed) > 0 {
		keys = append(keys, fmt.Sprintf("It needs the ENCRYPTION_KEY that the service has now: the client "+
			"secrets of these plugins are encrypted with it: %s. Keep the key, but not beside the backup.",
			listed(c.sealed)))
	}
	if c.sealsTokens {
		keys = append(keys, "The tokens that people have are sealed with it, and with OLD_ENCRYPTION_KEY if "+
			"that is set.")
	}
	if c.sealsSettings {
		keys = append(keys, "PocketBase's own settings need the key that --encryptionEnv names.")
	}
	if len(keys) == 0 {
		keys = append(keys, "It needs no key.")
	}
	return strings.Join(append(keys, "The variables of the environment, and .env, are not in it."), "\n")
}

// listed names some plugins, and how many others there are.
func listed(slugs []string) string {
	const most = 20
	if len(slugs) <= most {
		return strings.Join(slugs, ", ")
	}
	return strings.Join(slugs[:most], ", ") + fmt.Sprintf(" and %d more", len(slugs)-most)
}

// readContent reads what is in a database, which may be an older version's.
func readContent(db dbx.Builder) (content backupContent, err error) {
	for query, into := range map[string]any{
		"SELECT count(*) FROM _superusers": &content.admins,
		"SELECT count(*) FROM sessions":    &content.sessions,
		"SELECT count(*) > 0 FROM _params WHERE id = 'settings' " +
			"AND NOT (json_valid(value) AND json_type(value) = 'object')": &content.sealsSettings,
	} {
		if err := db.NewQuery(query).Row(into); err != nil {
			return content, err
		}
	}
	var hasPlugins bool
	table := db.NewQuery("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'plugins'")
	if err := table.Row(&hasPlugins); err != nil || !hasPlugins {
		return content, err
	}
	var rows []dbx.NullStringMap
	if err := db.NewQuery("SELECT * FROM plugins ORDER BY slug").All(&rows); err != nil {
		return content, err
	}
	content.plugins = len(rows)
	for _, row := range rows {
		if row["sealedSecret"].String != "" {
			content.sealed = append(content.sealed, row["slug"].String)
		}
		content.sealsTokens = content.sealsTokens || row["tokens"].String == string(plugins.TokensSealed)
	}
	return content, nil
}

// openFile opens a file of SQLite's that no app has open. It must exist. Where this is root, SQLite gives
// what it makes beside the file to the file's owner.
func openFile(path string) (*dbx.DB, error) {
	source := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	source.RawQuery = "mode=rw&_pragma=busy_timeout(10000)"
	return dbx.Open("sqlite", source.String())
}

// checkDatabase fails unless a file is a whole database of this service. It is not in use.
func checkDatabase(ctx context.Context, path string) (content backupContent, err error) {
	db, err := openFile(path)
	if err != nil {
		return content, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var found string
	err = db.DB().QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found)
	if sqlite.IsDamaged(err) {
		found = err.Error() // the error itself would be taken for one of the data folder
	} else if err != nil {
		return content, err
	}
	if found != "ok" {
		return content, errors.New("it is damaged: " + found)
	}
	var tables int
	const ours = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN " +
		"('sessions', '_superusers', '_params', '_migrations')"
	if err := db.NewQuery(ours).Row(&tables); err != nil {
		return content, err
	}
	if tables != 4 {
		return content, errors.New("it is not a database of this service")
	}
	if newer, err := newerMigration(db); err != nil {
		return content, err
	} else if newer != "" {
		return content, fmt.Errorf("it comes from a newer version of plugin-oauth (it has %s); use that one",
			newer)
	}
	return readContent(db)
}

// newerMigration returns a migration of the database that is younger than all that this program knows, or "".
func newerMigration(db dbx.Builder) (string, error) {
	var known, ran []string
	for _, list := range []core.MigrationsList{core.SystemMigrations, core.AppMigrations} {
		for _, migration := range list.Items() {
			known = append(known, migration.File)
		}
	}
	if err := db.NewQuery("SELECT file FROM _migrations").Column(&ran); err != nil || len(known) == 0 {
		return "", err
	}
	ran = append(ran, "")
	if latest := slices.Max(ran); latest > slices.Max(known) {
		return latest, nil
	}
	return "", nil
}

// backup makes a backup of a data folder, beside the service that uses it.
type backup struct {
	folder   string
	target   string
	progress *progress
}

// make writes the backup, which appears once it is whole. It never replaces a file.
func (b backup) make(ctx context.Context) (content backupContent, err error) {
	if err := b.checkTarget(); err != nil {
		return content, err
	}
	work, err := os.MkdirTemp(filepath.Dir(b.target), ".plugin-oauth-backup-")
	if err != nil {
		return content, fmt.Errorf("the backup cannot be written: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied, archive := filepath.Join(work, databaseName), filepath.Join(work, "backup.zip")
	if err := b.copyDatabase(ctx, copied); err != nil {
		return content, fmt.Errorf("the database cannot be copied: %w", err)
	}
	b.progress.say("Checking the copy")
	if content, err = checkDatabase(ctx, copied); err != nil {
		return content, fmt.Errorf("the copy of the database is not good, so no backup was made: %w", err)
	}
	if err := b.writeArchive(ctx, archive, copied, content); err != nil {
		return content, fmt.Errorf("the backup cannot be written: %w", err)
	}
	return content, publish(archive, b.target)
}

func (b backup) checkTarget() error {
	if _, err := os.Lstat(b.target); err == nil {
		return fmt.Errorf("there is a %s already; delete it, or choose another name", b.target)
	}
	if _, err := os.Stat(filepath.Join(b.folder, databaseName)); err != nil {
		return noDatabase(b.folder)
	}
	return nil
}

// publish gives a file its name, unless there is one of this name meanwhile. Not every file system has links.
func publish(file, target string) error {
	err := os.Link(file, target)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a %s by now; choose another name", target)
	}
	if err != nil {
		err = os.Rename(file, target)
	}
	return err
}

// copyDatabase copies the database as it is at one moment, whatever is written to it meanwhile.
func (b backup) copyDatabase(ctx context.Context, target string) error {
	db, err := openFile(filepath.Join(b.folder, databaseName))
	if err != nil {
		return err
	}
	defer db.Close()
	var tables, size int64
	if err := db.NewQuery("SELECT count(*) FROM sqlite_master").Row(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return errNoTables
	}
	if err := db.NewQuery("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").
		Row(&size); err != nil {
		return err
	}
	defer b.progress.follow("Copying the database", size, func() int64 {
		info, err := os.Stat(target)
		if err != nil {
			return 0
		}
		return info.Size()
	})()
	_, err = db.DB().ExecContext(ctx, "VACUUM INTO ?", target)
	return err
}

func (b backup) writeArchive(
	ctx context.Context, path, database string, content backupContent,
) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := zip.NewWriter(file)
	if err := archive.SetComment("A backup of plugin-oauth: " + content.summary() + ".\n" + content.keys() +
		"\nplugin-oauth restore FILE puts it back."); err != nil {
		return err
	}
	if err := b.add(ctx, archive, database, databaseName); err != nil {
		return err
	}
	storage := filepath.Join(b.folder, core.LocalStorageDirName)
	err = filepath.WalkDir(storage, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == storage {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(b.folder, path)
		if err != nil {
			return err
		}
		return b.add(ctx, archive, path, filepath.ToSlash(name))
	})
	return errors.Join(err, archive.Close(), file.Sync())
}

// add adds a file to an archive.
func (b backup) add(ctx context.Context, archive *zip.Writer, path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: info.ModTime()}
	header.SetMode(0o600)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	return b.progress.copy(ctx, "Writing "+name, entry, sizedReader{Reader: file, size: info.Size()})
}

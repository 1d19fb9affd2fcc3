package hooks

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/replica"
)

const (
	// restoringName is the folder in the data folder in which a backup is unpacked.
	restoringName = ".restoring"

	// asidePrefix is how the folders begin in which what was there before a restore is kept.
	asidePrefix = "before-restore-"
)

// restore puts a backup in place of what is in a data folder. Everything happens within the folder, since it
// may be a disk of its own, and so that it stays locked.
type restore struct {
	folder   string
	source   string
	now      time.Time
	progress *progress

	// cluster is the one that the service would be in. Nil: it would be alone.
	cluster *cluster.Config
}

// run restores the backup, and returns what is in it, and the folder that has what was there before, or "".
// Until the backup is found to be good, nothing is changed.
func (r restore) run(ctx context.Context) (content backupContent, aside string, err error) {
	archive, err := zip.OpenReader(r.source)
	if err != nil {
		return content, "", fmt.Errorf("%s cannot be read; it must be an archive that plugin-oauth backup, "+
			"or the dashboard, has made: %w",
			r.source, err)
	}
	defer archive.Close()
	lock, err := takeFolder(r.folder)
	if err != nil {
		return content, "", err
	}
	if lock != nil {
		defer lock.Close()
	}
	if err := r.refuseBesideOthers(ctx); err != nil {
		return content, "", err
	}
	unpacked := filepath.Join(r.folder, restoringName)
	if err := os.RemoveAll(unpacked); err != nil {
		return content, "", err
	}
	defer func() {
		if !errors.Is(err, errHalfRestored) { // else it says to the next start that something is missing
			err = errors.Join(err, os.RemoveAll(unpacked))
		}
	}()
	if err := r.unpack(ctx, archive, unpacked); err != nil {
		return content, "", fmt.Errorf("the backup cannot be unpacked: %w", err)
	}
	r.progress.say("Checking the backup")
	if content, err = checkDatabase(ctx, filepath.Join(unpacked, databaseName)); err != nil {
		return content, "", fmt.Errorf("the backup is not good, so nothing was changed: %w", err)
	}
	if err := r.comeFirst(filepath.Join(unpacked, databaseName)); err != nil {
		return content, "", err
	}
	aside, err = r.replace(unpacked)
	return content, aside, err
}

// refuseBesideOthers fails if other machines have the data of this one's cluster: those count, and the
// plugins of the backup would be gone again at the next start.
func (r restore) refuseBesideOthers(ctx context.Context) error {
	if r.cluster == nil {
		return nil
	}
	run, err := othersThatRun(ctx, *r.cluster)
	if err != nil || len(run) == 0 {
		return err
	}
	return fmt.Errorf("these machines run, and have newer data, which count: %s. To go back to the backup, "+
		"stop the service on all machines first. If only this machine's data are lost, it needs no backup: "+
		"start it with an empty data folder, and the others fill it", strings.Join(run, ", "))
}

// comeFirst makes the plugins and admins of the backup those of all machines.
func (r restore) comeFirst(database string) error {
	if r.cluster == nil {
		return nil
	}
	db, err := openFile(database)
	if err != nil {
		return err
	}
	return errors.Join(replica.ComeFirst(db), db.Close())
}

// isRestored reports whether a file of a backup is put back. The dashboard's backups have others, such as its
// log.
func isRestored(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return filepath.IsLocal(name) && (top == core.LocalStorageDirName || name == databaseName ||
		name == databaseName+"-wal")
}

func (r restore) unpack(ctx context.Context, archive *zip.ReadCloser, target string) error {
	hasDatabase := slices.ContainsFunc(archive.File, func(f *zip.File) bool { return f.Name == databaseName })
	if !hasDatabase {
		return errors.New("there is no " + databaseName + " in it")
	}
	for _, file := range archive.File {
		if !isRestored(file.Name) || !file.Mode().IsRegular() {
			continue
		}
		if err := r.unpackFile(ctx, file, filepath.Join(target, filepath.FromSlash(file.Name))); err != nil {
			return err
		}
	}
	return nil
}

func (r restore) unpackFile(ctx context.Context, file *zip.File, path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	from, err := file.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	size := int64(min(file.UncompressedSize64, 1<<62))
	err = r.progress.copy(ctx, "Unpacking "+file.Name, to, sizedReader{Reader: from, size: size})
	return errors.Join(err, to.Sync())
}

// replace moves what is in the data folder aside, and what was unpacked to its place, the database last: as
// long as it is missing, the service does not start.
func (r restore) replace(unpacked string) (aside string, err error) {
	name := asidePrefix + r.now.UTC().Format("20060102-150405")
	aside = filepath.Join(r.folder, name)
	old, err := replacedIn(r.folder)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(unpacked)
	if err != nil {
		return "", err
	}
	isDatabase := func(entry fs.DirEntry) bool { return entry.Name() == databaseName }
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int {
		switch {
		case isDatabase(a) == isDatabase(b):
			return 0
		case isDatabase(a):
			return 1
		default:
			return -1
		}
	})
	if len(old) > 0 {
		if err := os.Mkdir(aside, 0o700); err != nil {
			return "", err
		}
	} else {
		aside = ""
	}
	for _, name := range old {
		if err := os.Rename(filepath.Join(r.folder, name), filepath.Join(aside, name)); err != nil {
			return aside, halfRestored(aside, err)
		}
	}
	for _, entry := range entries {
		from, to := filepath.Join(unpacked, entry.Name()), filepath.Join(r.folder, entry.Name())
		if err := os.Rename(from, to); err != nil {
			return aside, halfRestored(aside, err)
		}
	}
	return aside, nil
}

var errHalfRestored = errors.New("the restore stopped half way")

func halfRestored(aside string, err error) error {
	return fmt.Errorf("%w; run it again, or move what is in %s back: %w", errHalfRestored, aside, err)
}

// replacedIn returns the names of what a restore replaces in a data folder.
func replacedIn(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		isDatabase := strings.HasPrefix(name, databaseName) || strings.HasPrefix(name, "auxiliary.db")
		if isDatabase || name == core.LocalStorageDirName || name == clusterName {
			names = append(names, name)
		}
	}
	return names, nil
}

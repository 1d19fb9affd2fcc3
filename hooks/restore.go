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
	aside, err = r.replace(unpacked)
	return content, aside, err
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
		if isDatabase || name == core.LocalStorageDirName {
			names = append(names, name)
		}
	}
	return names, nil
}

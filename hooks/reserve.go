package hooks

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"plugin-oauth/hooks/session/sqlite"
)

const (
	// reserveName is the reserve's in the data folder, and probeName that of a file that is written to see
	// whether there is room.
	reserveName, probeName = "reserve", "probe"
	// reserveSize is room for SQLite's write-ahead log, without which not even a deletion is possible. The
	// log has about 4 MB before its content is moved into the database.
	reserveSize = 8 << 20
	// probeSize is more than a login needs, and more than SQLite needs to open the databases.
	probeSize = 256 << 10
)

// reserve is a file in the data folder that is given up when the disk is full, so that the sweep can make
// room.
type reserve struct{ path string }

// fill makes the file, unless it is there. It takes nothing of a disk that has not twice the room.
func (r reserve) fill() error {
	if _, err := os.Stat(r.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeRandom(r.path, 2*reserveSize); err != nil {
		return err
	}
	return os.Truncate(r.path, reserveSize)
}

// release gives the room up, and reports whether there was any.
func (r reserve) release() bool { return os.Remove(r.path) == nil }

// probeRoom fails if there is no room in a folder for some more logins.
func probeRoom(folder string) error {
	path := filepath.Join(folder, probeName)
	if err := writeRandom(path, probeSize); err != nil {
		return err
	}
	return os.Remove(path)
}

// writeRandom makes a file of random bytes, since some file systems give zeros no room. It leaves no file
// behind if it fails.
func writeRandom(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyN(file, rand.Reader, size)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// isFull reports whether an error of a file or of SQLite says that the disk has no room.
func isFull(err error) bool {
	return sqlite.IsFull(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isReadOnly reports whether an error of a file or of SQLite says that nothing can be written.
func isReadOnly(err error) bool {
	return sqlite.IsReadOnly(err) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

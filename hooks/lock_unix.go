//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package hooks

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lockFolder locks a folder for this process, until it ends or becomes another program. It fails with
// errFolderInUse if another process has locked it. The folder itself is locked, so that the lock takes no room
// on a full disk, and is in no backup.
func lockFolder(path string) (io.Closer, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for errors.Is(err, syscall.EINTR) {
		err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errFolderInUse
	}
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

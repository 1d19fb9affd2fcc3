package hooks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder locks a folder for this process until it ends. It fails with errFolderInUse if another process
// has locked it. Windows locks no folders, so there is a file in it that one process can open, and that goes
// with it.
func lockFolder(path string) (io.Closer, error) {
	name, err := syscall.UTF16PtrFromString(filepath.Join(path, lockName))
	if err != nil {
		return nil, err
	}
	const shareNothing, deleteOnClose = 0, 0x0400_0000 // FILE_FLAG_DELETE_ON_CLOSE
	const sharingViolation = syscall.Errno(32)         // ERROR_SHARING_VIOLATION
	file, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, shareNothing, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL|deleteOnClose, 0)
	if errors.Is(err, sharingViolation) {
		return nil, errFolderInUse
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lockName, err)
	}
	return os.NewFile(uintptr(file), lockName), nil
}

//go:build unix

package hooks

import "golang.org/x/sys/unix"

// keepOnExec keeps a file open in the program that this process may become.
func keepOnExec(file int) { _, _ = unix.FcntlInt(uintptr(file), unix.F_SETFD, 0) } // it is open

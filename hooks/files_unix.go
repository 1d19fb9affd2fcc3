//go:build unix

package hooks

import "syscall"

// openFiles returns how many files this process may have open. Go has raised it as far as the system allows.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}

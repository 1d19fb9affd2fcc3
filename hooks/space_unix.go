//go:build linux || darwin || freebsd

package hooks

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that a program without privileges can still write to the disk of a folder.
func freeSpace(folder string) (bytes uint64, known bool) {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return 0, false
	}
	return uint64(max(stat.Bavail, 0)) * uint64(stat.Bsize), true
}

//go:build linux || darwin

package doctor

import "syscall"

// FreeSpace returns the bytes that a program without privileges can still write to the disk of a folder.
func FreeSpace(folder string) (bytes uint64, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return 0, false
	}
	return stat.Bavail * uint64(stat.Bsize), true
}

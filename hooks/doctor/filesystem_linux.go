package doctor

import "syscall"

// fleeting are the file systems that are gone with what they are in, by the numbers of statfs(2).
var fleeting = map[uint32]string{
	0x01021994: "memory (tmpfs)",
	0x858458f6: "memory (ramfs)",
	0x794c7630: "a container (overlay)",
}

// fleetingFileSystem returns what the file system of a folder is gone with, or "" if it stays.
func fleetingFileSystem(folder string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return ""
	}
	return fleeting[uint32(stat.Type)]
}

//go:build !linux

package doctor

// fleetingFileSystem returns what the file system of a folder is gone with. Only Linux says it.
func fleetingFileSystem(string) string { return "" }

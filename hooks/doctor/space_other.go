//go:build !(linux || darwin)

package doctor

// FreeSpace reports that the free space is not known on this system.
func FreeSpace(string) (bytes uint64, known bool) { return 0, false }

//go:build !unix

package hooks

// openFiles returns zero: nothing but memory bounds the open files here.
func openFiles() uint64 { return 0 }

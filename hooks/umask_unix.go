//go:build unix

package hooks

import "syscall"

// restrictUmask lets this process make files and folders for its owner only.
func restrictUmask() { syscall.Umask(0o077) }

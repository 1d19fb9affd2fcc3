//go:build unix

package browser

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command the first of a process group.
func ownGroup(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

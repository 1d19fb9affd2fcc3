//go:build linux || darwin

package main

import "syscall"

// raiseOpenFiles lets this process and those that it starts have so many open files, if that is allowed. It
// returns how many they may have: fewer only if more are not allowed.
func raiseOpenFiles(need uint64) uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	wanted := syscall.Rlimit{Cur: max(limit.Cur, limit.Max), Max: limit.Max}
	if limit.Max < need {
		wanted.Cur, wanted.Max = need, need
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted) == nil {
		return wanted.Cur
	}
	// Only the superuser may raise the hard limit, but anybody may go up to it.
	wanted = syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted) == nil {
		return wanted.Cur
	}
	return limit.Cur
}

// smallWindow lets a connection that is about to be made take as little at a time as it can, so that little
// of an answer has left the service as long as nobody reads it.
func smallWindow(_, _ string, raw syscall.RawConn) error {
	const window, segment = 1 << 10, 88
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, segment)
	})
}

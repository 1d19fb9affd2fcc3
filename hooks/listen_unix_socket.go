package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// socketPrefix begins an address that is the path of a Unix socket.
const socketPrefix = "unix:"

// maxSocketPath is how long such a path may be on any system, in bytes.
const maxSocketPath = 103

// checkSocket says what is wrong with the path of a Unix socket.
func checkSocket(path string) error {
	switch {
	case path == "" || strings.HasSuffix(path, "/") || strings.HasPrefix(path, "//"):
		return fmt.Errorf("--http %q must be the path of a socket, such as unix:/run/plugin-oauth.sock",
			socketPrefix+path)
	case strings.HasPrefix(path, "@") || strings.ContainsRune(path, 0):
		return errors.New("--http needs the path of a socket: one without a path has no owner, and anybody " +
			"on this machine may take its name")
	case len(path) > maxSocketPath:
		return fmt.Errorf("--http unix:… has a path of %d bytes; a socket's may have %d", len(path),
			maxSocketPath)
	}
	return nil
}

// listenAtSocket listens at a Unix socket, for processes of this user and this group. One that a process has
// left behind that was killed is taken away.
func listenAtSocket(path string) (net.Listener, error) {
	if err := removeStaleSocket(path); err != nil {
		return nil, err
	}
	// It is the owner's alone until its mode is set: see restrictUmask.
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// removeStaleSocket removes a socket that nobody listens at. It fails if somebody does, or if it is a file of
// another kind.
func removeStaleSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is no socket; take it away, or choose another path with --http", path)
	}
	connection, err := net.Dial("unix", path)
	switch {
	case err == nil:
		return errors.Join(&net.OpError{
			Op: "listen", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"},
			Err: os.NewSyscallError("bind", syscall.EADDRINUSE),
		}, connection.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	default:
		return err
	}
}

//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd && !windows

package hooks

import (
	"errors"
	"io"
)

// lockFolder fails: there are no locks here that go with their process.
func lockFolder(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

package hooks

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// handedSockets are the sockets that systemd, or whoever started this process, listens on and has handed over
// (sd_listen_fds(3)). They stay open while one process ends and the next starts, so that nobody is refused
// meanwhile.
type handedSockets struct {
	*joinedListener

	listeners []net.Listener
	files     []*os.File // kept open for the program that a restart makes of this process
}

// takeHandedSockets returns the sockets that were handed over, or nil if there are none.
func takeHandedSockets() (*handedSockets, error) {
	files := activation.Files(false)
	if len(files) == 0 {
		return nil, nil
	}
	var listeners []net.Listener
	for i, file := range files {
		const first = 3 // SD_LISTEN_FDS_START
		keepOnExec(first + i)
		listener, err := net.FileListener(file)
		if err != nil {
			return nil, fmt.Errorf("the socket %s that was handed over (LISTEN_FDS) cannot be listened on; "+
				"it must be a ListenStream= with Accept=no: %w",
				file.Name(), err)
		}
		listeners = append(listeners, listener)
	}
	// The first one's address decides which names the service answers to: see ownHostsOnly.
	slices.SortStableFunc(listeners, func(a, b net.Listener) int {
		return cmp.Compare(listenerRank(a), listenerRank(b))
	})
	return &handedSockets{joinedListener: joinAll(listeners), listeners: listeners, files: files}, nil
}

// names returns where the sockets listen, each with how it came here.
func (h *handedSockets) names() (names []string) {
	for _, listener := range h.listeners {
		name := listener.Addr().String()
		if listener.Addr().Network() == "unix" {
			name = socketPrefix + name
		}
		names = append(names, name+" (from systemd)")
	}
	return names
}

// listenerRank puts listeners that other machines reach before those that only browsers on this machine
// reach, and these before those that no browser reaches.
func listenerRank(listener net.Listener) int {
	address, ok := listener.Addr().(*net.TCPAddr)
	switch {
	case !ok:
		return 2
	case address.IP.IsLoopback():
		return 1
	default:
		return 0
	}
}

// notifySystemd tells systemd about the state of the service, if it wants to know (sd_notify(3)).
func notifySystemd(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		slog.Warn("systemd cannot be notified; the unit's RestrictAddressFamilies= must have AF_UNIX",
			"cause", err.Error())
	}
}

const (
	stateReady    = daemon.SdNotifyReady
	stateStopping = daemon.SdNotifyStopping
)

// stateReloading begins a reload, which stateReady ends.
func stateReloading() string {
	return daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec()
}

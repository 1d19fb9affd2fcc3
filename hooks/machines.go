package hooks

import (
	"time"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/dashboard"
)

// shownMachines returns machines as the Sign-ins page shows them at some time.
func shownMachines(machines []cluster.Machine, now time.Time) []dashboard.Machine {
	shown := make([]dashboard.Machine, len(machines))
	for i, machine := range machines {
		shown[i] = dashboard.Machine{
			Name:    machine.Name,
			Version: machine.Version,
			Leads:   machine.Leads,
			IsThis:  machine.IsThis,
			Free:    machine.Free,
		}
		if !machine.Seen.IsZero() {
			shown[i].Seen = new(max(0, now.Sub(machine.Seen).Seconds()))
		}
		if machine.Ahead != nil {
			shown[i].Ahead = new(machine.Ahead.Seconds())
		}
	}
	return shown
}

package hooks

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
)

// What of a machine of a cluster calls for a change.
const (
	// machineClockTolerance is how far two clocks may differ.
	machineClockTolerance = time.Second
	// slowWrites is how long writes to a disk take that make people wait.
	slowWrites = 100 * time.Millisecond
	// longSilence is how long a machine says nothing that cannot do what it should: it reports every 10 s.
	longSilence = 30 * time.Second
	// manyChanges is how many changes a machine is behind that is not only busy.
	manyChanges = 1000
	// muchData is how many bytes the cluster's data take when something is wrong. Beyond 1 GB nothing can be
	// stored.
	muchData = 600 << 20
	// littleRoom is how many bytes a disk has left when it is time to make room.
	littleRoom = 100 << 20
)

// clusterFindings returns what is wrong with a cluster, as it is seen at one of its machines.
func clusterFindings(view cluster.View) (findings []doctor.Finding) {
	if view.Status == nil {
		findings = append(findings, doctor.Finding{
			Level: doctor.LevelError,
			What:  "The service does not run on this machine, or does not take part yet.",
			Why:   "Nobody can sign in here, and the others have one machine less to rely on.",
			Fix:   "Start it with plugin-oauth serve. If it runs, its log says what it waits for.",
		})
	} else if view.Status.Leader == "" {
		findings = append(findings, doctor.Finding{
			Level: doctor.LevelError,
			What:  "This machine cannot reach most of the machines.",
			Why:   "Nobody can sign in here, and nothing can be stored.",
			Fix: "Start the others, and look at the network between them. If the disks of most of them are " +
				"lost, run plugin-oauth cluster reset on a machine that has its data.",
		})
	} else if view.Status.Problem != "" {
		findings = append(findings, doctor.Finding{
			Level: doctor.LevelWarning,
			What:  strings.ToUpper(view.Status.Problem[:1]) + view.Status.Problem[1:] + ".",
			Why:   "It should be sent no requests until then.",
			Fix:   "Wait for some seconds. If it stays so, its disk or its network is too slow.",
		})
	}
	for _, name := range slices.Sorted(maps.Keys(view.Answers)) {
		findings = append(findings, machineAway(name, view)...)
	}
	if view.Status == nil {
		return findings
	}
	for _, machine := range view.Status.Machines {
		findings = append(findings, machineFindings(machine)...)
		if view.Answers[machine.Name].TakesPart && machine.Silent > longSilence {
			findings = append(findings, machineSilent(machine))
		}
	}
	return append(findings, versionFindings(view.Status.Machines)...)
}

// machineAway returns what is wrong with a machine by what it says itself.
func machineAway(name string, view cluster.View) []doctor.Finding {
	answer := view.Answers[name]
	finding := doctor.Finding{
		Level: doctor.LevelWarning,
		Why:   "The others go on as long as they are most of the machines.",
	}
	switch {
	case answer.TakesPart:
		return nil
	case answer.Waits:
		finding.What = name + " has no data, and waits for the others."
		finding.Fix = "Wait for some seconds: it is filled once most of the machines with data run. At the " +
			"first start all of them must run."
	default:
		finding.What = plugins.Sentence(answer.Err.Error())
		finding.Fix = "Start the service there, and let the network pass its port to the other machines."
	}
	return []doctor.Finding{finding}
}

// machineSilent says that a machine runs and tells the others nothing. etcd stores nothing for a machine that
// is thousands of changes behind, so the others may never hear why.
func machineSilent(machine cluster.Machine) doctor.Finding {
	return warning(
		fmt.Sprintf("%s runs, and has told the others nothing for %s.", machine.Name,
			shortTime(machine.Silent)),
		"It is being filled, or too slow to keep up with the others. Then its requests wait, or fail.",
		"Run plugin-oauth cluster there: it says how far behind it is, and how slow its disk is.")
}

// machineFindings returns what is wrong with a machine by what it has told the others.
func machineFindings(machine cluster.Machine) (findings []doctor.Finding) {
	add := func(what, why, fix string) { findings = append(findings, warning(what, why, fix)) }
	isSlow := machine.Slow != nil && *machine.Slow > slowWrites
	// What waited for a slow disk is late, and makes the clock look as if it were behind.
	canTell := machine.Ahead != nil && (*machine.Ahead > 0 || !isSlow)
	if off := machine.Ahead; canTell && off.Abs() > machineClockTolerance {
		direction := "behind"
		if *off > 0 {
			direction = "ahead of"
		}
		add(fmt.Sprintf("The clock of %s is %s %s this machine's.", machine.Name, shortTime(off.Abs()),
			direction),
			"Sign-ins go by the clock that is in the middle of all. If a second one is wrong, they end too "+
				"early or too late, and from a day on the machines refuse each other.",
			"Set the clocks of all machines, preferably with NTP.")
	}
	if isSlow {
		add(fmt.Sprintf("The disk of %s takes up to %s for a write.", machine.Name, shortTime(*machine.Slow)),
			"Its requests wait that long, and those of all machines while it leads.",
			"Give it another disk, or move what else uses this one.")
	}
	if behind := machine.Behind; behind != nil && *behind > manyChanges {
		add(fmt.Sprintf("%s is %d changes behind the others.", machine.Name, *behind),
			"Its answers are late.", "Look at its disk, its processor and its network.")
	}
	if machine.Size > muchData {
		add(fmt.Sprintf("The data of the cluster take %s on %s.", megabytes(machine.Size), machine.Name),
			"When they reach 1 GB, nothing can be stored until the machines have removed old ones.",
			"Set AUTHORIZE_RATE_LIMIT lower, if strangers start too many logins.")
	}
	if free := machine.Free; free != nil && *free < littleRoom && !machine.IsThis {
		add(fmt.Sprintf("The disk of %s has only %d MB left.", machine.Name, *free>>20),
			"When it is full, that machine takes no part.", "Make room there.")
	}
	return findings
}

// versionFindings says so if the machines run several versions.
func versionFindings(machines []cluster.Machine) []doctor.Finding {
	var said []string
	versions := map[string]bool{}
	for _, machine := range machines {
		if machine.Version != "" {
			said = append(said, machine.Name+" "+machine.Version)
			versions[machine.Version] = true
		}
	}
	if len(versions) < 2 {
		return nil
	}
	return []doctor.Finding{warning("The machines run different versions: "+strings.Join(said, ", ")+".",
		"That is meant for an upgrade only, one machine after the other.",
		"Upgrade those that are behind.")}
}

// shortTime writes a time as people read it: 3 ms, 2.1 s, 5 min.
func shortTime(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	}
}

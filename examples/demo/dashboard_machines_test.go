package main

import (
	"strings"
	"testing"

	"plugin-oauth/internal/browser"
)

// addMachines makes the service's answers those of a cluster.
const addMachines = `(() => {
	const send = app.pb.send.bind(app.pb)
	app.pb.send = async (path, options) => {
		const answer = await send(path, options)
		return path.includes("/sign-ins?") ? { ...answer, machines: window.machines } : answer
	}
	const all = { version: "1.4.0", leads: false, isThis: false, ahead: 0.01, free: 12.4 * 2 ** 30 }
	window.machines = [
		{ ...all, name: "a", isThis: true, seen: 0, ahead: 0 },
		{ ...all, name: "b", leads: true, seen: 4.2 },
		{ ...all, name: "c", seen: 8.1, free: 8.6 * 2 ** 30 },
	]
})()`

// troubleMachines gives each machine another trouble.
const troubleMachines = `(() => {
	const [a, b, c] = window.machines
	window.machines = [
		{ ...a, free: 51 * 2 ** 20, leads: true },
		{ ...b, leads: false, seen: 190 },
		{ ...c, seen: 7, version: "1.5.0", ahead: -301 },
		{ ...c, name: "d", seen: null, ahead: null, free: null, version: "" },
	]
})()`

// loneMachine is a machine that reaches no other.
const loneMachine = `(() => {
	const [a, ...others] = window.machines
	window.machines = [{ ...a, leads: false }, ...others.map(other => ({ ...other, seen: 60 }))]
})()`

// The machines of a cluster have a row each. What is wrong with them stands at the top. Without a cluster
// there is nothing of it.
func TestDashboardMachines(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "")
	d.store(t, everyState()...)
	tab := newChromium(t)
	d.signInAsAdmin(t, tab)
	tab.Until(t, "document.querySelector('.po-machines').hidden")
	if shown := tab.Text(t, ".page-content"); strings.Contains(shown, "Machines") {
		t.Errorf("without a cluster: %s", shown)
	}
	browser.Evaluate[any](t, tab, addMachines)
	tab.Until(t, "document.querySelectorAll('.po-machines tbody tr').length == 3")
	lookAt(t, tab, "sign-ins-machines")
	expectRows(t, tab, "a (this one) Follows now 12 GB – 1.4.0; b Leads 4.2 s ago 12 GB in step 1.4.0; "+
		"c Follows 8.1 s ago 8.6 GB in step 1.4.0")
	if alerts := machineAlerts(t, tab); alerts != "" {
		t.Errorf("all is well, and it says %s", alerts)
	}

	browser.Evaluate[any](t, tab, troubleMachines)
	tab.Until(t, "document.querySelectorAll('.po-machines tbody tr').length == 4")
	lookAt(t, tab, "sign-ins-machines-trouble")
	checkAccessibility(t, tab, "the machines", ".po-machines", ".po-verdict")
	expectRows(t, tab, "a (this one) Leads now 51 MB – 1.4.0; b Not seen 3 min ago 12 GB in step 1.4.0; "+
		"c Follows 7.0 s ago 8.6 GB 5 min behind 1.5.0; d Not seen never – not known yet –")
	alerts := machineAlerts(t, tab)
	for _, want := range []string{
		"b and d have not been seen lately", "The clock of c is 5 min behind this machine's",
		"The disk of a has only 51 MB left",
	} {
		if !strings.Contains(alerts, want) {
			t.Errorf("%q is missing in %s", want, alerts)
		}
	}
	if !strings.Contains(tab.Text(t, ".po-machines"), "different versions") {
		t.Error("it does not say that the versions differ")
	}

	browser.Evaluate[any](t, tab, loneMachine)
	tab.Until(t, "document.querySelector('.po-machines').innerText.includes('Waits')")
	alerts = machineAlerts(t, tab)
	if !strings.Contains(alerts, "No machine leads") || strings.Contains(alerts, "seen lately") {
		t.Errorf("alone it says %s", alerts)
	}
}

// machineAlerts returns what the top of the page says of machines.
func machineAlerts(t *testing.T, tab *browser.Page) string {
	t.Helper()
	return browser.Evaluate[string](t, tab,
		"[...document.querySelectorAll('.po-verdict')].slice(1).map(part => part.innerText).join()")
}

// expectRows compares the rows of the table of machines.
func expectRows(t *testing.T, tab *browser.Page, want string) {
	t.Helper()
	got := browser.Evaluate[string](t, tab, `[...document.querySelectorAll(".po-machines tbody tr")]
		.map(row => row.innerText.replaceAll(/\s+/g, " ").trim()).join("; ")`)
	if got != want {
		t.Errorf("the rows are\n%s\nwant\n%s", got, want)
	}
}

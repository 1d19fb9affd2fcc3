package hooks

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/spf13/cobra"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/doctor"
)

// NewClusterCommand returns the command that shows the machines of the cluster. It works beside a running
// service, and must be executed before the app is bootstrapped.
func NewClusterCommand(app core.App) *cobra.Command {
	command := &cobra.Command{
		Use:   "cluster",
		Short: "Shows the machines of the cluster, and what is wrong with them",
		Long: `Shows the machines of the cluster, and what is wrong with them. Run it on one of them, where
the service runs, in its working folder: it reads the variables and .env as the service does.`,
		Args:                  cobra.ArbitraryArgs,
		SilenceUsage:          true,
		DisableFlagsInUseLine: true,
	}
	command.RunE = func(_ *cobra.Command, words []string) error {
		if len(words) > 0 {
			return unknownCommand(command, words[0])
		}
		settings, err := clusterSettings(app.DataDir())
		if err != nil {
			return err
		}
		view, err := cluster.Look(command.Context(), settings)
		if err != nil {
			return err
		}
		findings := clusterFindings(view)
		if err := printCluster(command.OutOrStdout(), settings, view, findings); err != nil {
			return err
		}
		if countLevel(findings, doctor.LevelError) > 0 {
			return errors.New("not all is well")
		}
		return nil
	}
	command.AddCommand(newResetCommand(app))
	return command
}

var errNoCluster = errors.New("this machine is in no cluster: CLUSTER is not set, neither in the environment " +
	"nor in .env in the working folder")

// clusterSettings returns the cluster that the service would be in. Without one it fails with errNoCluster.
func clusterSettings(folder string) (cluster.Config, error) {
	config, err := LoadConfig(".")
	if err == nil {
		err = config.validateCluster()
	}
	if err != nil {
		return cluster.Config{}, err
	}
	if config.Cluster == nil {
		return cluster.Config{}, errNoCluster
	}
	return config.clusterIn(folder), nil
}

// clusterIn returns the settings of the cluster, of which this machine's part is in a data folder.
func (c Config) clusterIn(folder string) cluster.Config {
	settings := *c.Cluster
	settings.Folder = filepath.Join(folder, clusterName)
	return settings
}

// printCluster prints the machines as a table, and then what is wrong.
func printCluster(
	out io.Writer, settings cluster.Config, view cluster.View, findings []doctor.Finding,
) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "MACHINE\tSTATE\tHEARD\tBEHIND\tDATA\tDISK FREE\tWRITES\tCLOCK\tVERSION")
	for _, machine := range shownInTable(settings, view) {
		fmt.Fprintln(table, strings.Join(machineRow(machine, view), "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(&b)
	writeFindings(&b, findings, 0)
	if len(findings) == 0 {
		fmt.Fprintf(&b, "All is well: %d machines of %d take part.\n", settings.Size(), settings.Size())
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// shownInTable returns the machines that are known, or those of CLUSTER.
func shownInTable(settings cluster.Config, view cluster.View) (machines []cluster.Machine) {
	if view.Status != nil {
		return view.Status.Machines
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Machines)) {
		machines = append(machines, cluster.Machine{Name: name, IsThis: name == settings.Name})
	}
	return machines
}

// machineRow returns the cells of a machine. What is not known is a hyphen.
func machineRow(machine cluster.Machine, view cluster.View) []string {
	heard, behind, data, free, writes, clock := "-", "-", "-", "-", "-", "-"
	if !machine.Seen.IsZero() {
		heard = shortTime(max(0, view.Status.Time.Sub(machine.Seen))) + " ago"
	}
	if machine.Behind != nil {
		behind = fmt.Sprint(*machine.Behind)
	}
	if machine.Size > 0 {
		data = megabytes(machine.Size)
	}
	if machine.Free != nil {
		free = fmt.Sprintf("%.1f GB", float64(*machine.Free)/(1<<30))
	}
	if machine.Slow != nil {
		writes = shortTime(*machine.Slow)
	}
	if machine.Ahead != nil {
		clock = fmt.Sprintf("%+.1f s", machine.Ahead.Seconds())
	}
	if machine.IsThis {
		heard, clock = "this one", "-"
	}
	version := machine.Version
	if version == "" {
		version = "-"
	}
	return []string{
		machine.Name, machineState(machine, view), heard, behind, data, free, writes, clock, version,
	}
}

// machineState says in a word or two what a machine does.
func machineState(machine cluster.Machine, view cluster.View) string {
	answer, asked := view.Answers[machine.Name]
	switch {
	case asked && answer.Waits:
		return "waits"
	case asked && !answer.TakesPart:
		return "away"
	case view.Status == nil && !asked:
		return "not running"
	case view.Status == nil:
		return "runs"
	case view.Status.Leader == "":
		return "no majority"
	case machine.Name == view.Status.Leader:
		return "leads"
	default:
		return "follows"
	}
}

// newResetCommand returns the command that makes a new cluster of what this machine has. It needs the data
// folder alone.
func newResetCommand(app core.App) *cobra.Command {
	var confirmed bool
	command := &cobra.Command{
		Use:   "reset",
		Short: "Makes a new cluster of this machine's plugins and admins, when most disks are lost",
		Long: `Makes a new cluster of this machine's plugins and admins. It is for the day when the disks of most
machines are lost, so that the others cannot go on. Logins that are under way go on, as far as this
machine knows them. The service must not run. What is moved away stays in the data folder.`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(command *cobra.Command, _ []string) error {
			settings, err := clusterSettings(app.DataDir())
			if err != nil {
				return err
			}
			done, err := reset{folder: app.DataDir(), settings: settings, now: time.Now()}.
				run(command.Context(), confirmed)
			fmt.Fprint(command.OutOrStdout(), done)
			return err
		},
	}
	command.Flags().BoolVar(&confirmed, "yes", false, "do it")
	return command
}

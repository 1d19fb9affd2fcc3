package hooks

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/osutils"
)

// greeting is what an author needs to know first.
type greeting struct {
	facts []fact
}

// fact is one line of a greeting.
type fact struct {
	about string // such as Plugin; blank: the same as the line before
	text  string
}

func (g *greeting) add(about, text string) { g.facts = append(g.facts, fact{about: about, text: text}) }

// print prints the greeting to standard output.
func (g *greeting) print(version string) {
	fmt.Printf("plugin-oauth %s is running\n", version)
	for _, f := range g.facts {
		fmt.Printf("  %-10s %s\n", f.about, f.text)
	}
}

// log logs the greeting in one line.
func (g *greeting) log(log *slog.Logger, version string) {
	var abouts []string
	texts := map[string][]string{}
	for _, f := range g.facts {
		about := f.about
		if about == "" {
			about = abouts[len(abouts)-1]
		} else if texts[about] == nil {
			abouts = append(abouts, about)
		}
		texts[about] = append(texts[about], f.text)
	}
	attributes := []any{"version", version}
	for _, about := range abouts {
		attributes = append(attributes, strings.ToLower(about), strings.Join(texts[about], "\n"))
	}
	log.Info("plugin-oauth is running", attributes...)
}

// greet prints the greeting of a service that listens, or logs it as JSON, and tells systemd.
func greet(e *core.ServeEvent, base string, config Config, asJSON bool) error {
	g, err := newGreeting(e.App, base, config.sockets(e), config)
	if err != nil {
		return err
	}
	if asJSON {
		g.log(slog.New(config.Log), config.Version)
	} else {
		g.print(config.Version)
	}
	notifySystemd(stateReady)
	return nil
}

// newGreeting returns the greeting of a service at a base address, which is blank if it is not known. sockets
// are what it listens at instead of an address.
func newGreeting(app core.App, base string, sockets []string, config Config) (*greeting, error) {
	g := &greeting{}
	for _, socket := range sockets {
		g.add("Socket", socket)
	}
	if base != "" {
		g.add("Backend", base)
		g.add("Dashboard", base+"/_/")
	}
	if config.MetricsAddr != "" {
		g.add("Metrics", "http://"+reachable(config.MetricsAddr)+"/metrics")
	}
	records, err := app.FindAllRecords("plugins", dbx.HashExp{"enabled": true})
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		where := ""
		if record.GetString("pluginId")+record.GetString("allowedOrigins") == "" {
			where = " (on localhost only; set pluginId when the plugin is published)"
		}
		g.add("Plugin", base+"/"+record.GetString("slug")+where)
	}
	switch {
	case config.Plugin != nil:
		g.addPlugin(config, base)
	case len(records) == 0 && config.PublicURL != "" && config.EncryptionKey != "":
		g.add("Plugin", "none yet; add one in the dashboard, in the collection plugins")
	case len(records) == 0:
		g.add("Plugin", HowToAddPlugin)
	}
	return g, g.addAdmin(app)
}

// addPlugin adds what an author needs to know about the plugin that the environment configures.
func (g *greeting) addPlugin(config Config, base string) {
	plugin := config.Plugin
	g.add("Redirect", plugin.RedirectURI+" (the provider must know this address)")
	redirect, err := url.Parse(plugin.RedirectURI)
	isElsewhere := err == nil && redirect.Scheme+"://"+redirect.Host != base
	// Of a cluster each machine takes it, whichever it leads to.
	if isElsewhere && base != "" && redirect.Hostname() == "localhost" && config.Cluster == nil {
		g.add("", "It does not lead here. Change REDIRECT_URI, and the entry at the provider, to "+base+
			"/redirect")
	}
	if plugin.PluginID == "" && len(plugin.AllowedOrigins) == 0 {
		g.add("Plugin", "on localhost only; set PLUGIN_ID when the plugin is published")
	}
}

// addAdmin adds how to make the first admin, if there is none.
func (g *greeting) addAdmin(app core.App) error {
	notInstaller := dbx.Not(dbx.HashExp{"email": core.DefaultInstallerEmail})
	admins, err := app.CountRecords(core.CollectionNameSuperusers, notInstaller)
	if err != nil || admins > 0 {
		return err
	}
	program := cmp.Or(os.Getenv("PLUGIN_OAUTH_COMMAND"), os.Args[0])
	if program == os.Args[0] && osutils.IsProbablyGoRun() {
		program = "go run ."
	}
	g.add("Admin", "none yet; make one with: "+program+" superuser upsert EMAIL PASSWORD")
	return nil
}

// reachable returns the host and the port at which this machine reaches a listener's address.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err == nil && slices.Contains([]string{"", "0.0.0.0", "::", "127.0.0.1", "::1"}, host) {
		return "localhost:" + port
	}
	return address
}

package hooks

import (
	"errors"
	"fmt"
	"net"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/plugins"
)

// clusterConfig reads with which machines this one shares what it keeps. It returns nil if it is alone.
func clusterConfig(get func(name string) string) (*cluster.Config, error) {
	list := get("CLUSTER")
	config := &cluster.Config{
		Name:   get("CLUSTER_NAME"),
		Listen: get("CLUSTER_LISTEN"),
		Secret: get("CLUSTER_SECRET"),
	}
	if list == "" {
		if config.Name != "" || config.Listen != "" || config.Secret != "" {
			return nil, errors.New("CLUSTER must be set beside CLUSTER_NAME, CLUSTER_SECRET and " +
				"CLUSTER_LISTEN, such as a=host-a:2380,b=host-b:2380,c=host-c:2380; without it this " +
				"machine is alone, and needs none of them")
		}
		return nil, nil
	}
	if list == "fly" {
		return config, findOnFly(config, get("FLY_APP_NAME"), get("FLY_MACHINE_ID"))
	}
	var err error
	if config.Machines, err = cluster.ParseMachines(list); err != nil {
		return nil, fmt.Errorf("CLUSTER: %w", err)
	}
	return config, nil
}

// findOnFly completes the settings with what Fly.io says of this machine and of the others.
func findOnFly(config *cluster.Config, app, machine string) error {
	switch {
	case app == "" || machine == "":
		return errors.New("CLUSTER=fly is for machines of Fly.io, which set FLY_APP_NAME and " +
			"FLY_MACHINE_ID; elsewhere name the machines, such as a=host-a:2380,b=host-b:2380,c=host-c:2380")
	case config.Name != "" && config.Name != machine:
		return errors.New("CLUSTER_NAME must be left out beside CLUSTER=fly: there each machine is called " +
			"by its FLY_MACHINE_ID")
	}
	address := cluster.FlyAddress(app, machine)
	config.Name, config.Machines = machine, map[string]string{machine: address}
	if config.Listen == "" {
		_, port, _ := net.SplitHostPort(address)
		config.Listen = net.JoinHostPort("::", port)
	}
	config.Find = cluster.FindOnFly(app, net.DefaultResolver.LookupTXT)
	return nil
}

func (c Config) validateCluster() error {
	if c.Cluster == nil {
		return nil
	}
	if plugins.IsGuessable(c.Cluster.Secret) {
		return errors.New("CLUSTER_SECRET must not be one character over and over again: whoever guesses " +
			"it is taken for one of the machines")
	}
	return c.Cluster.Check()
}

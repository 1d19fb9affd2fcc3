package hooks

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// etcdFamilies are the names of what etcd itself counts that an admin should see.
var etcdFamilies = []string{
	"etcd_disk_backend_commit_duration_seconds",
	"etcd_disk_wal_fsync_duration_seconds",
	"etcd_mvcc_db_total_size_in_bytes",
	"etcd_server_apply_duration_seconds",
	"etcd_server_is_leader",
	"etcd_server_leader_changes_seen_total",
	"etcd_server_proposals_failed_total",
	"etcd_server_proposals_pending",
}

// addCluster adds what is known of the cluster, if this machine is in one.
func (m *metrics) addCluster(shares *membership) {
	if shares == nil {
		return
	}
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "plugin_oauth_cluster_quorum",
			Help: "1 while this machine can reach most of the machines. At 0 nobody can sign in here.",
		}, func() float64 {
			if shares.member.Leader() == "" {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "plugin_oauth_cluster_watch_lag_seconds",
			Help: "How long a change takes at the moment until it is stored and this machine sees it. It " +
				"grows while nothing can be stored.",
		}, func() float64 { return shares.roster.WatchLag().Seconds() }),
	)
	m.ofEtcd = prometheus.DefaultGatherer
}

// gatherEtcd returns what etcd counts, if it runs in this process.
func (m *metrics) gatherEtcd() (chosen []*dto.MetricFamily, err error) {
	if m.ofEtcd == nil {
		return nil, nil
	}
	families, err := m.ofEtcd.Gather()
	for _, family := range families {
		if slices.Contains(etcdFamilies, family.GetName()) {
			chosen = append(chosen, family)
		}
	}
	return chosen, err
}

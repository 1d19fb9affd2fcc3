package hooks

import (
	"fmt"
	"net/http"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/plugins"
)

// index handles GET / and HEAD /: it says that the service is up. A program that accepts application/json,
// such as the doctor, gets a [doctor.Self], since only the service sees what a proxy sends.
func (s *server) index(e *request) error {
	if e.plugin != nil && e.plugin.State != plugins.Available {
		return unavailableError(e.plugin)
	}
	records, err := s.records.All()
	if err != nil {
		return err
	}
	self := doctor.Self{
		Service:              doctor.ServiceName,
		Plugin:               e.plugin != nil || len(records) > 0,
		UntrustedProxyHeader: s.headerToTrust(e.Request.Header),
		BelievedProbe:        s.believedProbe(e.Request.Header),
	}
	if self.UntrustedProxyHeader == "" { // else it is the reason
		_, self.UnknownNetwork = s.knownNetwork(e)
	}
	if e.accepts("application/json") {
		return e.writeJSON(http.StatusOK, self)
	}
	line := "plugin-oauth is up and running."
	if !self.Plugin {
		line = "plugin-oauth is running. " + HowToAddPlugin
	}
	switch {
	case self.UntrustedProxyHeader != "":
		line += fmt.Sprintf("\nIt does not believe the header %s, which came with this request. If a "+
			"proxy of yours overwrites it or adds to it, name it in TRUSTED_PROXY_HEADERS.",
			self.UntrustedProxyHeader)
	case self.UnknownNetwork != "":
		line += "\nIt cannot tell which network this request comes from. " +
			self.UnknownNetwork.Text() + " " + doctor.UnknownNetwork(self.UnknownNetwork).Fix
	}
	return e.writeText(http.StatusOK, line)
}

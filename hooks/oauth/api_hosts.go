package oauth

import (
	"net/url"
	"slices"
	"strings"
)

// APIHostsOfPreset in [Client.APIHosts] stands for the hosts that the preset lists.
const APIHostsOfPreset = "on"

// completeAPIHosts puts the preset's hosts in the place of "on", and brings the others into the form in which
// browsers write them: without the port that their scheme has anyway.
func (c Client) completeAPIHosts() Client {
	if len(c.APIHosts) == 0 {
		return c
	}
	hosts := make([]string, 0, len(c.APIHosts))
	for _, entry := range c.APIHosts {
		preset, found := FindPreset(c.Provider)
		if entry == APIHostsOfPreset && found && len(preset.APIHosts) > 0 {
			hosts = append(hosts, preset.APIHosts...)
			continue
		}
		if host, isHTTP := strings.CutPrefix(entry, "http://"); isHTTP {
			hosts = append(hosts, "http://"+strings.TrimSuffix(host, ":80"))
			continue
		}
		hosts = append(hosts, strings.TrimSuffix(strings.TrimPrefix(entry, "https://"), ":443"))
	}
	slices.Sort(hosts)
	c.APIHosts = slices.Compact(hosts)
	return c
}

// DescribeAPI says in short sentences where the provider's API is, whether browsers may call it, and what
// follows for a plugin.
func (p *Preset) DescribeAPI() string {
	where := "Its API is at " + strings.Join(p.APIHosts, ", ") + "."
	if len(p.APIHosts) == 0 {
		where = "Its API has another host for each customer, or it is not known which."
	}
	switch {
	case p.CORS == CORSYes:
		return where + " Browsers may call it."
	case p.CORS == CORSNo:
		return where + " Browsers may not call it, so a plugin's page needs /fetch for its calls."
	case len(p.APIHosts) == 0:
		where = "The hosts of its API are not known."
	}
	return where + " Whether browsers may call it is not known. If they may not, a plugin's page needs " +
		"/fetch for its calls."
}

// APIOrigin returns the scheme and the host at which an API of the provider is called, such as
// https://api.notion.com for api.notion.com. The host must be one of [Client.APIHosts], byte for byte, so
// whatever else an address may hide in it is none.
func (c *Client) APIOrigin(host string) (origin string, found bool) {
	if c.tenant != nil && (c.Tenant != "" || c.tenant.isHost()) {
		if filled, err := c.ForTenant(""); err == nil {
			c = filled
		}
	}
	for _, entry := range c.APIHosts {
		scheme := "https://"
		if local, isHTTP := strings.CutPrefix(entry, "http://"); isHTTP {
			scheme, entry = "http://", local
		}
		isHost := host == entry && !strings.Contains(entry, "{")
		if isHost || c.tenant.matchesAPIHost(entry, host) {
			return scheme + host, true
		}
	}
	return "", false
}

// matchesAPIHost reports whether a host is that of any tenant, where the client is not for one of them.
func (t *Tenant) matchesAPIHost(entry, host string) bool {
	if t == nil || t.isHost() {
		return false
	}
	before, after, found := strings.Cut(entry, t.placeholder())
	label, hasBefore := strings.CutPrefix(host, before)
	label, hasAfter := strings.CutSuffix(label, after)
	return found && hasBefore && hasAfter && isTenantLabel(label) &&
		label == strings.ToLower(label)
}

// tenantAPIHosts returns the client's API hosts for one tenant, whose name may end in a path.
func (c *Client) tenantAPIHosts(tenant *Tenant, name string) []string {
	filled := slices.Clone(c.APIHosts)
	for i, entry := range filled {
		if !strings.Contains(entry, tenant.placeholder()) {
			continue
		}
		if u, err := url.Parse(tenant.replacer(name).Replace("https://" + entry)); err == nil {
			filled[i] = strings.ToLower(strings.TrimPrefix(u.Scheme+"://"+u.Host, "https://"))
		}
	}
	return filled
}

func (c *Client) validateAPIHosts(errs *FieldErrors) {
	for _, entry := range c.APIHosts {
		host, isHTTP := strings.CutPrefix(entry, "http://")
		name, _, _ := strings.Cut(host, ":")
		if c.tenant != nil {
			host = strings.ReplaceAll(host, c.tenant.placeholder(), "tenant")
		}
		errs.Check("apiHosts", entry != APIHostsOfPreset,
			"must list the hosts: it is not known which hosts the API of this provider has")
		errs.Check("apiHosts", !isHTTP || name == "localhost",
			"must not begin with http://, since tokens are sent there; only http://localhost may")
		errs.Check("apiHosts", !IsLoopback(name) || c.isDeveloped(),
			"must not have localhost, since the service is not reached at localhost: whoever uses the "+
				"plugin could call what runs on its machine. That is for development only")
		errs.Check("apiHosts", isHostAndPort(host),
			"must be the hosts of the provider's API in lower case, without a path and without *, with "+
				"commas between, such as api.notion.com")
	}
}

// isDeveloped reports whether the service runs on the machine of whoever uses it.
func (c *Client) isDeveloped() bool {
	u, err := url.Parse(c.RedirectURI)
	return err == nil && (u.Hostname() == "" || IsLoopback(u.Hostname()))
}

package doctor

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/relay"
)

// checkAPI checks what the plugin may call through /fetch. It looks the hosts up, and calls none.
func (d *Doctor) checkAPI(ctx context.Context, p *plugins.Plugin) []Finding {
	findings := checkCORS(p)
	client, err := p.ForTenant("")
	if err != nil {
		client = &p.Client // hosts with the tenant's placeholder are passed over
	}
	for _, entry := range client.APIHosts {
		host, err := url.Parse("https://" + strings.TrimPrefix(entry, "http://"))
		if err != nil || strings.Contains(entry, "{") || host.Hostname() == "localhost" {
			continue
		}
		if f, found := d.checkAPIHost(ctx, host.Hostname(), p); found {
			findings = append(findings, f)
		}
	}
	return findings
}

// checkCORS looks for a plugin that cannot call its API from its page.
func checkCORS(p *plugins.Plugin) []Finding {
	preset, found := p.LikelyPreset()
	if !found || preset.CORS != oauth.CORSNo || len(p.APIHosts) > 0 {
		return nil
	}
	value := "the hosts of the API"
	hosts := strings.Join(preset.APIHosts, ",")
	switch {
	case hosts != "" && p.Provider != "":
		value = oauth.APIHostsOfPreset
	case hosts != "" && preset.Tenant == nil:
		value = hosts
	}
	return []Finding{{
		Level:  LevelHint,
		Plugin: label(p),
		What:   "Browsers may not call the API of " + preset.Title + ".",
		Why:    "The plugin's page gets tokens that it cannot use by itself.",
		Fix: "Set " + p.Where("apiHosts") + " to " + value + ", and the plugin may call it through /fetch. " +
			"A server of your own does as well.",
	}}
}

// checkAPIHost checks a host that a plugin may call.
func (d *Doctor) checkAPIHost(ctx context.Context, host string, p *plugins.Plugin) (f Finding, found bool) {
	f = Finding{Level: LevelWarning, Plugin: label(p)}
	addresses, err := d.lookUp(ctx, host)
	switch {
	case ctx.Err() != nil:
		return Finding{}, false
	case err != nil || len(addresses) == 0:
		f.What = "The API's host " + host + " leads nowhere."
		f.Why = "Calls through /fetch fail."
		f.Fix = "Check " + p.Where("apiHosts") + ", and that this machine can look up names."
	case !slices.ContainsFunc(addresses, relay.IsPublic):
		f.What = "The API's host " + host + " is not on the Internet."
		f.Why = "So that nobody gets into your network, /fetch refuses to call it."
		f.Fix = "List a host with a public address in " + p.Where("apiHosts") + "."
	default:
		return Finding{}, false
	}
	return f, true
}

func (d *Doctor) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address}, nil
	}
	return d.options.LookUp(ctx, host)
}

// checkOldKey says when OLD_ENCRYPTION_KEY may go.
func (d *Doctor) checkOldKey() []Finding {
	const takeAway = "Take OLD_ENCRYPTION_KEY away"
	seals := func(p *plugins.Plugin) bool { return p.Tokens == plugins.TokensSealed }
	f := Finding{Level: LevelWarning}
	switch {
	case d.options.OldKey == OldKeyNone:
		return nil
	case d.options.OldKey == OldKeySame:
		f.What = "OLD_ENCRYPTION_KEY is the same as ENCRYPTION_KEY."
		f.Why = "If the key was changed, the tokens that were sealed before do not open."
		f.Fix = "Set OLD_ENCRYPTION_KEY to the key before. If it was not changed, take it away."
	case !slices.ContainsFunc(d.all(), seals):
		f.What = "OLD_ENCRYPTION_KEY is not needed: no plugin has sealed tokens."
		f.Why = "A key that opens nothing can only be lost."
		f.Fix = takeAway + "."
	default:
		f.Level = LevelHint
		f.What = "OLD_ENCRYPTION_KEY still opens sealed tokens."
		f.Why = "Whoever got hold of the old key can use the tokens that were sealed under it."
		f.Fix = takeAway + " once people have used the plugin. Those who have not will sign in again."
	}
	return []Finding{f}
}

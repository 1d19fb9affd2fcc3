package doctor

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"plugin-oauth/hooks/oauth"
)

// front is what stands in front of the service, as seen from outside.
type front struct {
	index  string // the address that was asked
	answer oauth.Answer
	self   Self
}

// checkFront checks the proxy in front of the service, if there is one.
func (d *Doctor) checkFront(ctx context.Context, service *oauth.Endpoint, at front) []Finding {
	believed := d.believedProbe(ctx, service, at.index)
	switch {
	case believed != "":
		return []Finding{believesAnybody(believed)}
	case slices.Contains(proxyHeaders, at.self.UntrustedProxyHeader):
		return []Finding{UntrustedProxy(at.self.UntrustedProxyHeader)}
	case at.self.UnknownNetwork.Text() != "":
		return []Finding{UnknownNetwork(at.self.UnknownNetwork)}
	default:
		return d.needsOf(at.answer.Server)
	}
}

// ProbeAddress is what the doctor sends as if it were a visitor's address. It belongs to nobody (RFC 5737),
// so whoever believes it believes anything.
var ProbeAddress = netip.MustParseAddr("192.0.2.254")

// believedProbe returns the trusted header in which a made-up address gets through to the service, or "" if
// none does. Only an address with https is asked: without, no stranger comes this way.
func (d *Doctor) believedProbe(ctx context.Context, service *oauth.Endpoint, index string) string {
	if len(d.options.TrustedProxyHeaders) == 0 || !strings.HasPrefix(index, "https://") {
		return ""
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, index, nil)
	if err != nil {
		return ""
	}
	for _, name := range d.options.TrustedProxyHeaders {
		value := ProbeAddress.String()
		if strings.EqualFold(name, "Forwarded") {
			value = "for=" + value
		}
		request.Header.Set(name, value)
	}
	answer, err := service.Do(request)
	self, isService := isSelf(answer) // a proxy may refuse such a request altogether
	named := func(name string) bool { return strings.EqualFold(name, self.BelievedProbe) }
	i := slices.IndexFunc(d.options.TrustedProxyHeaders, named)
	if err != nil || !isService || i < 0 {
		return ""
	}
	return d.options.TrustedProxyHeaders[i]
}

func believesAnybody(header string) Finding {
	return Finding{
		Level: LevelError,
		What: "The header " + header + " is trusted, and comes as the visitor sent it: anybody can make up " +
			"an address.",
		Why: "No rate limit holds, and whoever sends somebody a sign-in of their own can keep the question " +
			"from being asked.",
		Fix: "Name only a header in TRUSTED_PROXY_HEADERS that your proxy overwrites or adds to. " +
			howToSend,
	}
}

// needsOf says what the proxy that answered needs, which the service cannot see. nginx and Caddy need
// nothing.
func (d *Doctor) needsOf(server string) []Finding {
	f := Finding{Level: LevelHint}
	switch {
	case len(d.options.TrustedProxyHeaders) == 0 || d.options.OnFly:
		return nil
	case strings.Contains(server, "Apache"):
		f.What = "Apache needs a worker for each poll that waits, and has 150 of them by default."
		f.Why = "Once they are used up, everything waits."
		f.Fix = "Raise MaxRequestWorkers, and ServerLimit with it, as docs/proxies.md shows."
	case server == "":
		f.What = "A proxy that does not say its name is in front of the service."
		f.Why = "HAProxy may keep the polls of plugins that have left."
		f.Fix = "If it is HAProxy, set option abortonclose, as docs/proxies.md shows."
	default:
		return nil
	}
	return []Finding{f}
}

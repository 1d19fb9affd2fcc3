package doctor

import (
	"cmp"
	"context"
	"encoding/json/v2"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// Self is what the service says about itself at GET /, with the status 200, to whoever asks for
// application/json. The doctor recognizes the service by it.
type Self struct {
	// Service is [ServiceName].
	Service string `json:"service"`

	// Plugin is false if no plugin is configured yet, neither in the environment nor in the dashboard.
	Plugin bool `json:"plugin"`

	// UntrustedProxyHeader is one of [UntrustedProxyHeaders] that could be trusted: only the service sees
	// what a proxy sends. It is blank if there is none.
	UntrustedProxyHeader string `json:"untrustedProxyHeader,omitzero"`

	// UnknownNetwork says why the service does not know from where it is asked.
	UnknownNetwork Unknown `json:"unknownNetwork,omitzero"`

	// BelievedProbe is the trusted header in which the service has found the doctor's own [ProbeAddress].
	BelievedProbe string `json:"believedProbe,omitzero"`
}

// ServiceName is the service's own name, in [Self].
const ServiceName = "plugin-oauth"

// isSelf reads the answer to GET /, and reports whether it comes from this service.
func isSelf(answer oauth.Answer) (Self, bool) {
	var self Self
	err := json.Unmarshal(answer.Body, &self)
	return self, answer.Status == http.StatusOK && err == nil && self.Service == ServiceName
}

// redirectURISource names what decides the plugin's redirect URI.
func (d *Doctor) redirectURISource(p *plugins.Plugin) setting {
	switch {
	case p.RedirectURI != d.options.BaseURL+p.RedirectPath():
		return setting{plugin: label(p), name: p.Where("redirectUri")}
	case d.options.PublicURL != "":
		return setting{name: "PUBLIC_URL"}
	default:
		return setting{plugin: plugins.DisplaySlug(""), name: "REDIRECT_URI"}
	}
}

// findOthers returns the addresses of this machine that an address at localhost stands for (RFC 6761 section
// 6.3), and where something other than this service answers. A browser takes whichever of them answers.
func (d *Doctor) findOthers(ctx context.Context, address string) (others []string) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() != "localhost" || d.options.Transport != nil {
		return nil
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	for _, host := range []string{"127.0.0.1", "::1"} {
		there := net.JoinHostPort(host, port)
		if d.isOther(ctx, address, there) {
			others = append(others, there)
		}
	}
	return others
}

// isOther reports whether something other than this service answers a request for an address that is sent to
// a host and port.
func (d *Doctor) isOther(ctx context.Context, address, there string) bool {
	client := oauth.NewHTTPClient(d.options.RequestTimeout)
	defer client.CloseIdleConnections()
	transport := client.Transport.(*http.Transport)
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, there)
	}
	answer, err := get(ctx, &oauth.Endpoint{HTTP: client}, address)
	operation, _ := errors.AsType[*net.OpError](err)
	isNobody := operation != nil && operation.Op == "dial"
	_, isService := isSelf(answer)
	return !isService && !isNobody && !isCertificateRefused(err) && ctx.Err() == nil
}

// checkRedirectURI checks whether a login comes back to this service.
func (d *Doctor) checkRedirectURI(ctx context.Context, service *oauth.Endpoint, p *plugins.Plugin) []Finding {
	redirectURI, err := url.Parse(p.RedirectURI)
	if err != nil {
		return nil // Validate reports it
	}
	var findings []Finding
	public, err := url.Parse(d.options.PublicURL)
	isSet := err == nil && d.options.PublicURL != ""
	if isSet && !strings.EqualFold(public.Hostname(), redirectURI.Hostname()) {
		findings = append(findings, Finding{
			Level:  LevelError,
			Plugin: label(p),
			What:   "The redirect URI is on another host than PUBLIC_URL.",
			Why:    whyEndsAway,
			Fix:    "Leave " + p.Where("redirectUri") + " blank, so that PUBLIC_URL decides.",
		})
	}
	source, host := d.redirectURISource(p), redirectURI.Scheme+"://"+redirectURI.Host
	// With a slash behind: a proxy that serves a path has nothing at the path alone, or redirects there.
	index := strings.TrimSuffix(strings.TrimSuffix(withoutQuery(p.RedirectURI), "/"), "/redirect") + "/"
	if others := d.findOthers(ctx, index); len(others) == 1 {
		return append(findings, Finding{
			Level:  LevelError,
			Plugin: source.plugin,
			What:   "Another program answers at " + others[0] + ".",
			Why:    "A browser that goes to " + host + " may come to it, and then a login ends there.",
			Fix:    "End that program, or use another port: with --http, and in " + source.name + ".",
		})
	}
	return append(findings, d.checkIndex(ctx, service, place{index: index, host: host, source: source})...)
}

// place is where a plugin's logins end.
type place struct {
	index  string  // the address of GET /
	host   string  // with its scheme
	source setting // what decides it
}

// checkIndex checks whether this service answers where logins end.
func (d *Doctor) checkIndex(ctx context.Context, service *oauth.Endpoint, at place) []Finding {
	answer, err := get(ctx, service, at.index)
	self, isService := isSelf(answer)
	f := Finding{Level: LevelWarning, Plugin: at.source.plugin}
	switch {
	case isCertificateRefused(err):
		f.What = "The certificate at " + at.host + " is not accepted by this machine."
		f.Why = "A browser may refuse to finish logins."
		f.Fix = "Run mkcert -install, or check TLS_CERT_FILE."
	case err != nil:
		f.What = "Nothing answers at " + at.host + ", where logins end."
		f.Why = "If it stays that way, nobody can sign in."
		f.Fix = "Check that the service is running, and that " + at.source.name + " leads here."
	case d.keepsPrefix(answer):
		f = keptPrefix(pathOf(d.options.BaseURL))
	case !isService:
		f.Level, f.Why = LevelError, whyEndsAway
		f.What = "Something other than this service answers at " + at.host + ", where logins end."
		f.Fix = "Check " + at.source.name + "."
	default:
		return d.checkFront(ctx, service, front{index: at.index, answer: answer, self: self})
	}
	return []Finding{f}
}

// KeptPrefix is what the service answers where requests still have the path of its public address in front.
func KeptPrefix(prefix string) string {
	return "This request has " + prefix + " in front, as in PUBLIC_URL. The proxy in front of the service " +
		"must take it away."
}

// keepsPrefix reports whether the service has answered that a proxy should have taken a path away.
func (d *Doctor) keepsPrefix(answer oauth.Answer) bool {
	var said struct {
		Description string `json:"error_description"`
	}
	prefix := pathOf(d.options.BaseURL)
	err := json.Unmarshal(answer.Body, &said)
	return err == nil && prefix != "" && said.Description == KeptPrefix(prefix)
}

// pathOf returns the path of an address, without a slash at the end.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.Path, "/")
}

func keptPrefix(prefix string) Finding {
	return Finding{
		Level: LevelError,
		What:  "The proxy leaves " + prefix + " in the addresses that it passes on.",
		Why:   "The service has no such addresses. " + whyNobody,
		Fix:   "Have the proxy take " + prefix + " away, as docs/proxies.md shows for each.",
	}
}

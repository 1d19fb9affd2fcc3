package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// ProbeCode is sent as the code and as the state when a provider is asked without a login.
const ProbeCode = "plugin-oauth-doctor"

// checkProvider sends both endpoints what a login sends them.
func (d *Doctor) checkProvider(ctx context.Context, providers *oauth.Endpoint, p *plugins.Plugin) []Finding {
	client, err := p.ForTenant("")
	if err != nil {
		return nil // only the plugin's people know the tenant
	}
	preset, _ := oauth.FindPreset(p.Provider)
	authorize := endpoint{
		name:    "authorize endpoint",
		address: client.AuthorizeEndpoint,
		preset:  preset.AuthorizeEndpoint,
		source:  endpointSource(p, "authorizeEndpoint", p.AuthorizeEndpoint == preset.AuthorizeEndpoint),
	}
	token := endpoint{
		name:    "token endpoint",
		address: client.TokenEndpoint,
		preset:  preset.TokenEndpoint,
		source:  endpointSource(p, "tokenEndpoint", p.TokenEndpoint == preset.TokenEndpoint),
	}
	verifier := oauth2.GenerateVerifier()

	var findings []Finding
	answer, err := get(ctx, providers,
		client.AuthorizationURL(oauth.AuthorizationRequest{State: ProbeCode, Verifier: verifier}))
	if what := d.describeNetError(err); what != "" {
		findings = append(findings, authorize.unreachable(p, what))
		if oauth.HostOf(authorize.address) == oauth.HostOf(token.address) {
			return findings // the token endpoint would only repeat it
		}
	} else if f, found := classifyLogin(p, answer, authorize); found {
		findings = append(findings, f)
	}
	findings = append(findings, checkIssuer(ctx, providers, p, client)...)
	if oauth.InTheClear(token.address) {
		return findings // checkEncryption reports it; the secret is not sent for a check
	}
	_, err = providers.Exchange(ctx, client, oauth.CodeGrant{Code: ProbeCode, Verifier: verifier})
	if f, found := d.classifyExchange(p, err, token); found {
		findings = append(findings, f)
	}
	return findings
}

// endpoint is one of a provider's endpoints, as findings describe it.
type endpoint struct {
	name    string
	address string // with the tenant in it
	preset  string // what the plugin's preset has; blank: there is none
	source  string // what decides the address: a variable, or a field
}

// endpointSource names what decides an endpoint: the field, or what chooses among the preset's endpoints.
func endpointSource(p *plugins.Plugin, field string, isPreset bool) string {
	switch {
	case !isPreset:
		return p.Where(field)
	case p.Tenant != "":
		return p.Where("tenant")
	default:
		return p.Where("provider")
	}
}

// unreachable returns the finding for an endpoint that gave no answer, or an incomplete one. If its address
// is the preset's, it is right.
func (e endpoint) unreachable(p *plugins.Plugin, what string) Finding {
	host := oauth.HostOf(e.address)
	fix := "Check " + e.source + ", and that this machine reaches " + host + "."
	if e.address == e.preset {
		fix = "Check that this machine reaches " + host + ": its network, DNS and firewall."
	}
	return Finding{
		Level:  LevelError,
		Plugin: label(p),
		What:   "The " + e.name + " " + what + ".",
		Why:    whyNobody,
		Fix:    fix,
	}
}

// classifyExchange reads what the token endpoint says of a code that it never issued. The endpoint should
// refuse the code, and nothing else.
func (d *Doctor) classifyExchange(p *plugins.Plugin, err error, token endpoint) (Finding, bool) {
	if what := d.describeNetError(err); what != "" {
		return token.unreachable(p, what), true
	}
	f := Finding{Level: LevelError, Plugin: label(p), Why: whyNobody}
	refusal, isOAuth := errors.AsType[*oauth.Error](err)
	switch {
	case err == nil:
		f.Level, f.Why = LevelWarning, whyNotKnown
		f.What = "The token endpoint accepted a code that it never issued."
		f.Fix = "Check " + token.source + "."
	case isOAuth && refusal.Meaning == oauth.InvalidGrant:
		return Finding{}, false
	case isOAuth && refusal.Meaning == oauth.InvalidClient && p.IsPublic():
		f.What = "The provider does not accept the client ID without a secret."
		f.Fix = "Check " + p.Where("clientId") + ", and that the provider has this client as a public " +
			"one; if it gave you a secret, set " + p.WhereElse("tokenAuth") + " to body and enter " +
			p.WhereElse("clientSecret") + "."
	case isOAuth && refusal.Meaning == oauth.InvalidClient:
		f.What = "The provider does not accept the client ID or the secret."
		f.Fix = "Enter " + p.Where("clientSecret") + " again; if it is right, check " +
			p.WhereElse("clientId") + " and " + p.WhereElse("tokenAuth") + "."
	case isOAuth && refusal.Meaning == oauth.InvalidRedirectURI:
		f.What = "The provider does not know the redirect URI."
		f.Fix = "Enter " + withoutQuery(p.RedirectURI) + " at the provider, in its developer console."
	case isOAuth && isOutage(refusal):
		f.Level, f.Why = LevelWarning, whyNotKnown
		f.What = "The provider has a problem of its own, so it could not be checked."
		f.Fix = "Run doctor again in a few minutes."
	case !isOAuth || !isFromTokenEndpoint(refusal):
		f.What = "The token endpoint gives an answer that is not OAuth."
		f.Fix = "Check " + token.source + "."
	default:
		what := "an error"
		if namesCode(refusal) {
			what = "the error " + refusal.Code
		}
		f.Level, f.Why = LevelWarning, whyNotKnown
		f.What = "The provider refused the check with " + what +
			", which does not tell whether it accepts the client."
		f.Fix = "Sign in once to see; if it fails, check " + p.Where("tokenAuth") + "."
	}
	return f, true
}

func isOutage(refusal *oauth.Error) bool {
	return refusal.Meaning == oauth.ProviderFailed || refusal.Meaning == oauth.ProviderBusy ||
		refusal.Status >= http.StatusInternalServerError || refusal.Status == http.StatusTooManyRequests
}

// isFromTokenEndpoint reports whether the answer seems to come from a token endpoint, and not from some other
// page.
func isFromTokenEndpoint(refusal *oauth.Error) bool {
	wrongAddress := isWrongAddress(refusal.Status) || refusal.Status == http.StatusMethodNotAllowed
	return refusal.Meaning != oauth.NotOAuth && !refusal.Malformed && (namesCode(refusal) || !wrongAddress)
}

func isWrongAddress(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone
}

// namesCode reports whether the provider named an error code that may be repeated. If it did not, the code is
// server_error, but the meaning is not the one of server_error.
func namesCode(refusal *oauth.Error) bool { return refusal.Meaning == oauth.MeaningOf(refusal.Code) }

// get sends a GET request. Its error is that of [oauth.Endpoint.Do], unless the address is malformed.
func get(ctx context.Context, asked *oauth.Endpoint, address string) (oauth.Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return oauth.Answer{}, err
	}
	return asked.Do(request)
}

// describeNetError says what a server does that gave no answer, or an incomplete one. It is blank if there
// was an answer.
func (d *Doctor) describeNetError(err error) string {
	reason, _ := errors.AsType[*oauth.Error](err)
	lookup, _ := errors.AsType[*net.DNSError](err)
	operation, _ := errors.AsType[*net.OpError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case reason != nil && reason.Meaning == oauth.TimedOut:
		return fmt.Sprintf("takes longer than %g seconds to answer", d.options.RequestTimeout.Seconds())
	case lookup != nil:
		return "has a host name that leads nowhere"
	case isCertificateRefused(err):
		return "has a certificate that this machine does not accept"
	case notTLS || errors.Is(err, http.ErrSchemeMismatch) || isTLSAlert(operation):
		return "answers, but not over TLS as it must with https"
	case operation != nil && (operation.Op == "dial" || operation.Op == "proxyconnect"):
		return "refuses connections, or cannot be reached"
	case operation != nil || errors.Is(err, oauth.ErrIncomplete):
		return "breaks off its answer"
	default:
		return ""
	}
}

// isTLSAlert recognizes the operations, "remote error" and "local error", that crypto/tls makes of an alert.
func isTLSAlert(operation *net.OpError) bool {
	return operation != nil && strings.HasSuffix(operation.Op, " error")
}

func isCertificateRefused(err error) bool {
	_, found := errors.AsType[*tls.CertificateVerificationError](err)
	return found
}

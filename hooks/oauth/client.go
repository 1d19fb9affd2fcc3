// Package oauth is an OAuth client and the provider that it is registered with: presets of well-known
// providers, the authorization URL, requests to the token and the revocation endpoint, reading of their
// answers, and one table that says what an error means (RFC 6749, RFC 7009, RFC 7636, RFC 9207).
//
//	client := oauth.Client{Provider: "google", ClientID: id, ClientSecret: secret, RedirectURI: uri}
//	client = client.Complete()
//	endpoint := &oauth.Endpoint{HTTP: oauth.NewHTTPClient(oauth.DefaultTimeout)}
//	tokens, err := endpoint.Exchange(ctx, &client, oauth.CodeGrant{Code: code, Verifier: verifier})
//
// It knows neither the people who sign in nor the plugins that they use.
package oauth

import (
	"cmp"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// Client is an OAuth client (RFC 6749 section 1.1) as it is registered with one provider. A zero field stands
// for the preset's value, or for a default; [Client.Complete] fills them in. A complete Client is never
// changed, so it may be used concurrently.
type Client struct {
	// Provider names a preset, such as google, which fills the endpoints, TokenAuth, PKCE and Issuer where
	// they are blank, and adds to AuthorizeParams. If it is blank, there is no preset.
	Provider string

	// Tenant fills the placeholder in the preset's endpoints: a shop, a directory, a subdomain. If it is
	// blank, each request names one.
	Tenant string

	// ClientID and ClientSecret come from the provider's developer console (RFC 6749 section 2.2).
	ClientID, ClientSecret string

	// RedirectURI is where the provider sends the browser back to, as an absolute URL (RFC 6749 section
	// 3.1.2).
	RedirectURI string

	// AuthorizeEndpoint and TokenEndpoint are the provider's (RFC 6749 section 3), as absolute URLs.
	// The authorization endpoint may carry a query of its own, which is kept.
	AuthorizeEndpoint, TokenEndpoint string

	// RefreshEndpoint redeems refresh tokens. Only presets set it. If it is blank, TokenEndpoint does.
	RefreshEndpoint string

	// RevokeEndpoint revokes a token (RFC 7009 section 2). If it is blank, the provider has none.
	RevokeEndpoint string

	// RevokeKind is how RevokeEndpoint wants to be asked. Only presets set it. Blank means [RevokeForm].
	RevokeKind RevokeKind

	// Issuer is what the provider sends as iss (RFC 9207). If it is blank, it is not compared.
	Issuer string

	// Scope is sent as it stands: providers differ in what separates scopes. Blank leaves the parameter out.
	Scope string

	// AuthorizeParams are further authorization parameters as a query string, such as
	// access_type=offline&prompt=consent.
	AuthorizeParams string

	// TokenParams are further parameters for the exchange of a code, as a query string. Only presets set
	// them.
	TokenParams string

	// TokenAuth is the client authentication at the token endpoint. Blank means [TokenAuthBody]. It is never
	// found out by trial and error, since a try would use up the code.
	TokenAuth TokenAuth

	// PKCE is "on" (or blank) or "off". A few providers refuse RFC 7636.
	PKCE string

	// AllowHTTP allows endpoints with http:// that are not on this machine. Secrets are sent there.
	AllowHTTP bool

	tenant *Tenant // the placeholder that is still in the endpoints; nil: there is none
}

// TokenAuth is a way of client authentication at the token endpoint (RFC 6749 section 2.3.1).
type TokenAuth string

const (
	// TokenAuthBody sends client_id and client_secret in the form.
	TokenAuthBody TokenAuth = "body"
	// TokenAuthBasic sends both, form-encoded, in HTTP Basic authentication.
	TokenAuthBasic TokenAuth = "basic"
	// TokenAuthBasicSecret sends the secret as the user name of HTTP Basic authentication, without a
	// password.
	TokenAuthBasicSecret TokenAuth = "basic-secret"
)

// PKCEOff is the value of [Client.PKCE] that leaves the code challenge and the code verifier out.
const PKCEOff = "off"

// Complete returns a copy in which every zero field has the preset's value, or its default. A copy of a
// complete Client must not be completed again: that would bring back the preset's parameters that it leaves
// out.
func (c Client) Complete() Client {
	if preset, found := FindPreset(c.Provider); found {
		c = c.withPreset(preset)
	}
	c.RefreshEndpoint = cmp.Or(c.RefreshEndpoint, c.TokenEndpoint)
	c.TokenAuth, c.PKCE = cmp.Or(c.TokenAuth, TokenAuthBody), cmp.Or(c.PKCE, "on")
	c.RevokeKind = cmp.Or(c.RevokeKind, RevokeForm)
	return c
}

// withPreset fills in what the client leaves blank. Another token endpoint means another server, so the
// preset's refresh and revocation endpoints, which would be sent that server's tokens, are left out then.
func (c Client) withPreset(preset Preset) Client {
	c.AuthorizeEndpoint = cmp.Or(c.AuthorizeEndpoint, preset.AuthorizeEndpoint)
	c.TokenAuth = cmp.Or(c.TokenAuth, preset.TokenAuth)
	c.PKCE = cmp.Or(c.PKCE, preset.PKCE)
	c.AuthorizeParams = c.mergeParams(preset)
	if c.TokenEndpoint == "" || c.TokenEndpoint == preset.TokenEndpoint {
		c.TokenEndpoint, c.RefreshEndpoint = preset.TokenEndpoint, preset.RefreshEndpoint
		c.TokenParams = preset.TokenParams
		c.Issuer = cmp.Or(c.Issuer, preset.Issuer)
		if c.RevokeEndpoint == "" {
			c.RevokeEndpoint, c.RevokeKind = preset.RevokeEndpoint, preset.RevokeKind
		}
	}
	endpoints := c.AuthorizeEndpoint + c.TokenEndpoint
	if preset.Tenant != nil && strings.Contains(endpoints, preset.Tenant.placeholder()) {
		c.tenant = preset.Tenant
	}
	return c
}

// mergeParams returns the client's authorization parameters and those of the preset that the client does not
// set itself, in its endpoint or its own parameters. A client leaves out one of the preset's by giving it
// without a value (RFC 6749 section 3.1: as if it were omitted).
func (c *Client) mergeParams(preset Preset) string {
	own := c.AuthorizeParams
	_, query, _ := strings.Cut(c.AuthorizeEndpoint, "?")
	given, err := url.ParseQuery(query + "&" + own)
	presets, presetErr := url.ParseQuery(preset.AuthorizeParams)
	if err != nil || presetErr != nil {
		return own // Validate reports it
	}
	var merged []string
	for pair := range strings.SplitSeq(own, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" && (value != "" || !presets.Has(name)) {
			merged = append(merged, pair)
		}
	}
	for pair := range strings.SplitSeq(preset.AuthorizeParams, "&") {
		if name, _, _ := strings.Cut(pair, "="); pair != "" && !given.Has(name) {
			merged = append(merged, pair)
		}
	}
	return strings.Join(merged, "&")
}

// AuthorizationRequest is what differs between two authorization requests of one client.
type AuthorizationRequest struct {
	// State is the parameter of this name (RFC 6749 section 4.1.1).
	State string

	// Verifier is the PKCE code verifier. Its S256 challenge is sent (RFC 7636 section 4.3).
	Verifier string
}

// AuthorizationURL returns the address at which the browser starts the login (RFC 6749 section 4.1.1).
func (c *Client) AuthorizationURL(request AuthorizationRequest) string {
	endpoint := c.AuthorizeEndpoint
	if c.AuthorizeParams != "" {
		separator := "?"
		if strings.Contains(endpoint, "?") {
			separator = "&"
		}
		endpoint += separator + c.AuthorizeParams
	}
	config := oauth2.Config{
		ClientID:    c.ClientID,
		RedirectURL: c.RedirectURI,
		Endpoint:    oauth2.Endpoint{AuthURL: endpoint},
	}
	if c.Scope != "" {
		config.Scopes = []string{c.Scope}
	}
	if !c.usesPKCE() {
		return config.AuthCodeURL(request.State)
	}
	return config.AuthCodeURL(request.State, oauth2.S256ChallengeOption(request.Verifier))
}

func (c *Client) usesPKCE() bool { return c.PKCE != PKCEOff }

// SecretHosts returns the scheme and host of each endpoint that is sent the client secret. A host may contain
// the placeholder of a tenant.
func (c *Client) SecretHosts() []string {
	filled := c
	if c.Tenant != "" {
		if client, err := c.ForTenant(""); err == nil {
			filled = client
		}
	}
	var hosts []string
	for _, endpoint := range []string{filled.TokenEndpoint, filled.RefreshEndpoint, filled.RevokeEndpoint} {
		if host := HostOf(endpoint); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// HostOf returns the scheme and host of an endpoint, such as https://host. The address need not be valid, and
// may have a placeholder in it.
func HostOf(endpoint string) string {
	scheme, rest, found := strings.Cut(endpoint, "://")
	if !found {
		return endpoint
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.ToLower(scheme + "://" + host)
}

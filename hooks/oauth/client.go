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
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// Client is an OAuth client (RFC 6749 section 1.1) as it is registered with one provider. A zero field stands
// for the preset's value, or for a default; [Client.Complete] fills them in. A complete Client is never
// changed, so it may be used concurrently.
type Client struct {
	// Provider names a preset, such as google, which fills what is blank and adds to AuthorizeParams and
	// TokenParams: see [Client.Complete]. If it is blank, there is no preset.
	Provider string

	// Tenant fills the placeholder in the preset's endpoints: a shop, a directory, a subdomain, or the host
	// of a provider that customers run themselves. If it is blank, each request names one, but never a host.
	Tenant string

	// ClientID and ClientSecret come from the provider's developer console (RFC 6749 section 2.2).
	ClientID, ClientSecret string

	// SignedSecret says that the client secret which is sent is signed with ClientSecret, a private key. Only
	// presets set it. Nil means that ClientSecret itself is sent.
	SignedSecret *SignedSecret

	// TeamID and KeyID stand in a signed secret: whose it is, and which key has signed it.
	TeamID, KeyID string

	// RedirectURI is where the provider sends the browser back to, as an absolute URL (RFC 6749 section
	// 3.1.2).
	RedirectURI string

	// AuthorizeEndpoint and TokenEndpoint are the provider's (RFC 6749 section 3), as absolute URLs.
	// The authorization endpoint may carry a query of its own, which is kept.
	AuthorizeEndpoint, TokenEndpoint string

	// RefreshEndpoint redeems refresh tokens. Only presets set it. If it is blank, TokenEndpoint does.
	RefreshEndpoint string

	// LongLived is how the provider lengthens a token's life. Only presets set it. Nil means that it has
	// refresh tokens, or neither.
	LongLived *LongLived

	// RevokeEndpoint revokes a token (RFC 7009 section 2). If it is blank, the provider has none.
	RevokeEndpoint string

	// RevokeKind is how RevokeEndpoint wants to be asked. Blank means [RevokeForm].
	RevokeKind RevokeKind

	// Issuer is what the provider sends as iss (RFC 9207). If it is blank, it is not compared.
	Issuer string

	// Scope is sent as it stands: providers differ in what separates scopes. Blank leaves the parameter out.
	Scope string

	// AuthorizeParams are further authorization parameters as a query string, such as
	// access_type=offline&prompt=consent.
	AuthorizeParams string

	// LoginParams are the names of the authorization parameters that whoever starts a login may send:
	// see [Client.CheckLoginParams].
	LoginParams []string

	// TokenParams are further parameters for the token endpoint, as a query string, with a code and with a
	// refresh token. A name may come twice (RFC 8707 section 2).
	TokenParams string

	// CodeParams are those that go with a code only. Only presets set them.
	CodeParams string

	// CodeRedirectParams are the names of the parameters of the redirect that go with the code to the token
	// endpoint. Only presets set them.
	CodeRedirectParams []string

	// RedirectParams are the names of the parameters of the redirect that belong into the token response:
	// see [Client.WithRedirectParams].
	RedirectParams []string

	// APIHosts are the hosts of the provider's API that may be called with a token, each with a port if it
	// has one: see [Client.APIOrigin]. One on this machine may begin with http://, as http://localhost:3000
	// does. "on" stands for the preset's.
	APIHosts []string

	// TokenAuth is the client authentication at the token endpoint. Blank means [TokenAuthBody]. It is never
	// found out by trial and error, since a try would use up the code.
	TokenAuth TokenAuth

	// TokenFormat is how parameters are sent to the token endpoint. Blank means [TokenFormatForm].
	TokenFormat TokenFormat

	// ClientIDParam is what the provider calls client_id, at every endpoint. Only presets set it. Blank means
	// client_id.
	ClientIDParam string

	// RedirectName is sent as redirect_uri in place of RedirectURI, for a provider that knows the address by
	// a name. Blank means that the provider wants the address.
	RedirectName string

	// PKCE is "on" (or blank) or "off". A few providers refuse RFC 7636.
	PKCE string

	// HexChallenge writes the PKCE code challenge in hexadecimal digits, as TikTok wants it, and not in
	// base64url (RFC 7636 section 4.2). Only presets set it.
	HexChallenge bool

	// AllowHTTP allows endpoints with http:// that are not on this machine. Secrets are sent there.
	AllowHTTP bool

	tenant *Tenant // the placeholder that is still in the endpoints; nil: there is none
	region *Tenant // the data centres that the endpoints may move to; nil: they stay
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
	// TokenAuthNone sends client_id alone: a public client (RFC 6749 section 2.1), which has no secret and
	// must use PKCE (RFC 9700 section 2.1.1).
	TokenAuthNone TokenAuth = "none"
)

// TokenFormat is how the parameters of a token request are sent.
type TokenFormat string

const (
	// TokenFormatForm sends a form (RFC 6749 section 4.1.3).
	TokenFormatForm TokenFormat = "form"
	// TokenFormatJSON sends a JSON object of strings. A parameter that comes twice becomes an array.
	TokenFormatJSON TokenFormat = "json"
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
	c.TokenFormat = cmp.Or(c.TokenFormat, TokenFormatForm)
	c.RevokeKind = cmp.Or(c.RevokeKind, RevokeForm)
	return c.completeAPIHosts()
}

// withPreset fills in what the client leaves blank. Another token endpoint means another server, so what the
// preset says of its token, refresh and revocation endpoints is left out then.
func (c Client) withPreset(preset Preset) Client {
	c.AuthorizeEndpoint = cmp.Or(c.AuthorizeEndpoint, preset.AuthorizeEndpoint)
	c.TokenAuth = cmp.Or(c.TokenAuth, preset.TokenAuth)
	c.PKCE = cmp.Or(c.PKCE, preset.PKCE)
	_, query, _ := strings.Cut(c.AuthorizeEndpoint, "?")
	c.AuthorizeParams = mergedParams{own: c.AuthorizeParams, elsewhere: query}.with(preset.AuthorizeParams)
	c.LoginParams = orPreset(c.LoginParams, preset.LoginParams)
	c.RedirectParams = orPreset(c.RedirectParams, preset.RedirectParams)
	c.ClientIDParam, c.HexChallenge = preset.ClientIDParam, preset.HexChallenge
	if c.TokenEndpoint == "" || c.TokenEndpoint == preset.TokenEndpoint {
		c = c.withTokenEndpoint(preset)
	}
	if preset.Tenant != nil && preset.Tenant.Kind == TenantRegion && c.TokenEndpoint == preset.TokenEndpoint {
		c.tenant = preset.Tenant
	}
	endpoints := c.AuthorizeEndpoint + c.TokenEndpoint
	if preset.Tenant != nil && strings.Contains(endpoints, preset.Tenant.placeholder()) {
		c.tenant = preset.Tenant
	}
	return c
}

// withTokenEndpoint fills in what the preset says of its own server.
func (c Client) withTokenEndpoint(preset Preset) Client {
	c.TokenEndpoint, c.RefreshEndpoint = preset.TokenEndpoint, preset.RefreshEndpoint
	c.LongLived, c.SignedSecret = preset.LongLived, preset.SignedSecret
	c.TokenFormat = cmp.Or(c.TokenFormat, preset.TokenFormat)
	own := c.TokenParams
	both := strings.Trim(preset.TokenParams+"&"+preset.CodeParams, "&")
	c.TokenParams = mergedParams{own: own, known: both}.with(preset.TokenParams)
	c.CodeParams = mergedParams{elsewhere: own}.with(preset.CodeParams)
	c.CodeRedirectParams = preset.CodeRedirectParams
	c.Issuer = cmp.Or(c.Issuer, preset.Issuer)
	if c.RevokeEndpoint == "" {
		c.RevokeEndpoint = preset.RevokeEndpoint
		c.RevokeKind = cmp.Or(c.RevokeKind, preset.RevokeKind)
	}
	return c
}

func orPreset(own, presets []string) []string {
	if len(own) > 0 {
		return own
	}
	return presets
}

// mergedParams are a client's own parameters, as query strings, to which those of a preset are added.
type mergedParams struct {
	own       string
	elsewhere string // those that the client sets in another place
	known     string // all that the preset has; blank: those that are added
}

// with returns the client's parameters and those of the preset that the client does not set itself. A client
// leaves out one of the preset's by giving it without a value (RFC 6749 section 3.1: as if it were omitted).
func (m mergedParams) with(preset string) string {
	given, err := url.ParseQuery(m.elsewhere + "&" + m.own)
	presets, presetErr := url.ParseQuery(cmp.Or(m.known, preset))
	if err != nil || presetErr != nil {
		return m.own // Validate reports it
	}
	var merged []string
	for pair := range strings.SplitSeq(m.own, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" && (value != "" || !presets.Has(name)) {
			merged = append(merged, pair)
		}
	}
	for pair := range strings.SplitSeq(preset, "&") {
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

	// Params are further parameters that whoever starts the login has sent, by their names. They must have
	// passed [Client.CheckLoginParams]. Each replaces the client's own parameter of its name.
	Params map[string]string
}

// AuthorizationURL returns the address at which the browser starts the login (RFC 6749 section 4.1.1).
func (c *Client) AuthorizationURL(request AuthorizationRequest) string {
	query := url.Values{
		"response_type": {"code"}, c.clientIDParam(): {c.ClientID}, "state": {request.State},
		"redirect_uri": {c.sentRedirectURI()},
	}
	if c.usesPKCE() {
		query.Set("code_challenge", c.challenge(request.Verifier))
		query.Set("code_challenge_method", "S256")
	}
	scope := cmp.Or(request.Params["scope"], c.Scope)
	if scope != "" {
		query.Set("scope", scope)
	}
	encoded := query.Encode()
	// Some providers take a plus sign for one, and not for a space.
	asForm := "&scope=" + url.QueryEscape(scope) + "&"
	encoded = strings.Replace(encoded, asForm, strings.ReplaceAll(asForm, "+", "%20"), 1)

	address, separator := c.AuthorizeEndpoint, "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	for _, params := range []string{c.paramsOf(request), encoded} {
		if params != "" {
			address, separator = address+separator+params, "&"
		}
	}
	return address
}

// paramsOf returns the client's further authorization parameters, with those of the request in their place.
func (c *Client) paramsOf(request AuthorizationRequest) string {
	var params []string
	for pair := range strings.SplitSeq(c.AuthorizeParams, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, _ = url.QueryUnescape(name)
		if pair != "" && request.Params[name] == "" {
			params = append(params, pair)
		}
	}
	for _, name := range c.LoginParams {
		if value := request.Params[name]; value != "" && name != "scope" {
			escaped := strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
			params = append(params, url.QueryEscape(name)+"="+escaped)
		}
	}
	return strings.Join(params, "&")
}

// challenge is the S256 code challenge of a verifier.
func (c *Client) challenge(verifier string) string {
	if c.HexChallenge {
		sum := sha256.Sum256([]byte(verifier))
		return hex.EncodeToString(sum[:])
	}
	return oauth2.S256ChallengeFromVerifier(verifier)
}

// sentRedirectURI is the parameter redirect_uri.
func (c *Client) sentRedirectURI() string { return cmp.Or(c.RedirectName, c.RedirectURI) }

func (c *Client) clientIDParam() string { return cmp.Or(c.ClientIDParam, "client_id") }

func (c *Client) usesPKCE() bool { return c.PKCE != PKCEOff }

// IsPublic reports whether the client has no secret (RFC 6749 section 2.1).
func (c *Client) IsPublic() bool { return c.TokenAuth == TokenAuthNone }

// SecretHosts returns the scheme and host of each endpoint that is sent the client secret. A host may contain
// the placeholder of a tenant. A tenant that is a host with a path comes last, as it is entered: the realms
// of one server may belong to different people.
func (c *Client) SecretHosts() []string {
	filled := c
	if c.Tenant != "" {
		if client, err := c.ForTenant(""); err == nil {
			filled = client
		}
	}
	endpoints := []string{filled.TokenEndpoint, filled.RefreshEndpoint, filled.RevokeEndpoint}
	if c.LongLived != nil {
		endpoints = append(endpoints, c.LongLived.Endpoint, c.LongLived.RenewEndpoint)
	}
	var hosts []string
	for _, endpoint := range endpoints {
		if host := HostOf(endpoint); host != "" {
			hosts = append(hosts, host)
		}
	}
	if c.tenant != nil && c.tenant.Kind == TenantBase && c.Tenant != "" {
		hosts = append(hosts, c.Tenant)
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

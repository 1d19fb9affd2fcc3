package oauth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Validation and tenants stand in one file, since both decide which hosts are sent the client secret.

// FieldError says what is wrong with one value of a client, and how to fix it.
type FieldError struct {
	// Field is the field's name in the dashboard, such as clientId.
	Field string

	// Fix continues a sentence that begins with the field's name, as in "must be set". It quotes no value.
	Fix string
}

// Error is the field's name, followed by the fix.
func (e FieldError) Error() string { return e.Field + " " + e.Fix }

// Tenant is a part of the endpoints that differs for each customer of the provider: a shop, a directory, a
// subdomain, or the whole host where customers run the provider themselves.
type Tenant struct {
	// Name is the name of the placeholder, and of the parameter that a plugin sends.
	Name string `json:"name"`

	// Kind says what a tenant's name is. Blank means a part of the preset's own addresses.
	Kind TenantKind `json:"kind,omitzero"`

	// Hosts are those of a [TenantRegion], by the names of the data centres. No other host gets the secret.
	Hosts map[string]string `json:"hosts,omitzero"`

	// HostParam is the parameter of the redirect that has the address of the data centre. If it is missing
	// there, the parameter Name counts.
	HostParam string `json:"hostParam,omitzero"`

	// Default is used if no tenant is named. If it is blank, one must be named.
	Default string `json:"default,omitzero"`

	// Example is an example of a tenant's name.
	Example string `json:"example"`

	// Fixed says that only the client's own Tenant counts, since the client is registered with one tenant
	// only. Requests need not name it.
	Fixed bool `json:"fixed,omitzero"`
}

// TenantKind says what a tenant's name is.
type TenantKind string

const (
	// TenantHost is a whole host, with a port if it has one. Whoever names it chooses who gets the client
	// secret, so it is always Fixed.
	TenantHost TenantKind = "host"
	// TenantBase is a host and, where the provider is not at its root, a path.
	TenantBase TenantKind = "base"
	// TenantRegion is one of the provider's own data centres, whose hosts the preset lists. The endpoints
	// have the host of the default one. The redirect says which one a person belongs to.
	TenantRegion TenantKind = "region"
)

// isHost reports whether a tenant's name is the host that is sent the client secret.
func (t *Tenant) isHost() bool { return t.Kind == TenantHost || t.Kind == TenantBase }

// placeholder stands in the preset's endpoints only; Validate refuses it in a client's own.
func (t *Tenant) placeholder() string { return "{" + t.Name + "}" }

// OpenTenant returns the placeholder that is still in the endpoints of a complete client, or nil.
func (c *Client) OpenTenant() *Tenant { return c.tenant }

// The name of a tenant becomes a part of an address that the client secret is sent to. In a host it is one
// label, and the preset's fixed part behind it says whose host that is.
var (
	tenantLabel = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)
	tenantPath  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

func isTenantLabel(name string) bool { return len(name) <= maxLabel && tenantLabel.MatchString(name) }

// checkTenant returns the name that goes in place of the placeholder, and whether it is valid. People also
// write the whole host, my-store.myshopify.com for my-store.
func (c *Client) checkTenant(name string) (string, bool) {
	switch {
	case c.tenant.isHost():
		return name, c.tenant.fixOfHost(name) == ""
	case c.tenant.Kind == TenantRegion:
		return name, c.tenant.Hosts[name] != ""
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(c.TokenEndpoint, "https://"), "/")
	domain, inHost := strings.CutPrefix(host, c.tenant.placeholder())
	if inHost {
		name = strings.TrimSuffix(name, domain)
		return name, isTenantLabel(name)
	}
	return name, len(name) <= 255 && tenantPath.MatchString(name)
}

// TenantError says that a request does not name a tenant that it can be for. Its text is for the author of
// the plugin.
type TenantError struct {
	// Parameter is the parameter that must be sent, and Example an example of its value.
	Parameter, Example string

	// Reason is a sentence that says what is wrong.
	Reason string
}

// Error says what the plugin must send, and why.
func (e *TenantError) Error() string {
	return fmt.Sprintf("The plugin must send %s=%s, with the right name. %s", e.Parameter, e.Example,
		e.Reason)
}

// ForTenant returns the client with the endpoints of one tenant: the client's own, or else the named one, or
// else the preset's default. A client without placeholders is returned as it is, and the name is ignored. It
// fails with a *[TenantError].
func (c *Client) ForTenant(name string) (*Client, error) {
	if c.tenant == nil {
		return c, nil
	}
	refuse := func(reason string) (*Client, error) {
		return nil, &TenantError{Parameter: c.tenant.Name, Example: c.tenant.Example, Reason: reason}
	}
	wanted := cmp.Or(name, c.Tenant, c.tenant.Default)
	if own := cmp.Or(c.Tenant, c.tenant.Default); c.tenant.isHost() {
		if name != "" && name != own {
			return refuse("This plugin is for another one.")
		}
		wanted = own
	}
	if wanted == "" {
		return refuse("It is missing.")
	}
	wanted, ok := c.checkTenant(wanted)
	if !ok {
		return refuse("This one is malformed.")
	}
	own, _ := c.checkTenant(c.Tenant)
	if c.Tenant != "" && wanted != own && c.tenant.Kind != TenantRegion {
		return refuse("This plugin is for another one.")
	}
	filled := *c
	filled.Tenant, filled.tenant = wanted, nil
	filled.APIHosts = c.tenantAPIHosts(c.tenant, wanted)
	if c.tenant.Kind == TenantRegion {
		filled.region = c.tenant
		return filled.inRegion(wanted), nil
	}
	fill := c.tenant.replacer(wanted).Replace
	for _, endpoint := range []*string{
		&filled.AuthorizeEndpoint, &filled.TokenEndpoint, &filled.RefreshEndpoint,
		&filled.RevokeEndpoint, &filled.Issuer,
	} {
		*endpoint = fill(*endpoint)
	}
	return &filled, nil
}

// inRegion returns a copy whose endpoints are at one of the data centres of its region.
func (c *Client) inRegion(name string) *Client {
	moved := *c
	moved.Tenant = name
	for _, endpoint := range []*string{
		&moved.AuthorizeEndpoint, &moved.TokenEndpoint, &moved.RefreshEndpoint, &moved.RevokeEndpoint,
	} {
		scheme, rest, _ := strings.Cut(*endpoint, "://")
		host, path, _ := strings.Cut(rest, "/")
		for _, known := range c.region.Hosts {
			if host == known {
				*endpoint = scheme + "://" + c.region.Hosts[name] + "/" + path
			}
		}
	}
	return &moved
}

// inRegionOf returns the client as it is at the data centre that a redirect names, if it names one. It fails
// with an *[Error] if that is none of the preset's: a code must not lead the secret elsewhere.
func (c *Client) inRegionOf(redirectParams map[string]string) (*Client, error) {
	if c.region == nil {
		return c, nil
	}
	name, address := redirectParams[c.region.Name], redirectParams[c.region.HostParam]
	if address != "" {
		name = ""
		for known, host := range c.region.Hosts {
			if strings.TrimSuffix(address, "/") == "https://"+host {
				name = known
			}
		}
	}
	switch {
	case c.region.Hosts[name] != "":
		return c.inRegion(name), nil
	case name == "" && address == "":
		return c, nil
	default:
		return nil, notOAuth("names a data centre that is not one of its own")
	}
}

// replacer puts a tenant's name in place of the placeholder. A host on this machine, which is one under
// development, has no certificate.
func (t *Tenant) replacer(name string) *strings.Replacer {
	if u, err := url.Parse("http://" + name); t.isHost() && err == nil && IsLoopback(u.Hostname()) {
		return strings.NewReplacer("https://"+t.placeholder(), "http://"+name)
	}
	return strings.NewReplacer(t.placeholder(), name)
}

var (
	hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

	// numberLabel is what browsers and resolvers read as a part of an IPv4 address, in whatever notation.
	numberLabel = regexp.MustCompile(`^([0-9]+|0x[0-9a-f]*)$`)

	basePath = regexp.MustCompile(`^(/[A-Za-z0-9][A-Za-z0-9._~-]*)*$`)
)

// fixOfHost says what is wrong with the name of a tenant that is a host, or returns "".
func (t *Tenant) fixOfHost(name string) string {
	example := "such as " + t.Example
	host, path, _ := strings.Cut(name, "/")
	if strings.Contains(name, "/") {
		path = "/" + path
	}
	_, afterScheme, hasScheme := strings.Cut(name, "://")
	switch {
	case hasScheme && t.fixOfHost(strings.TrimSuffix(afterScheme, "/")) == "":
		return "must begin with the host, without https:// or http:// and without a slash at the end, " +
			example
	case path != "" && t.Kind == TenantHost:
		return "must be only the host, without a path, " + example
	case host != strings.ToLower(host):
		return "must be in lower case, " + example
	case !isHostAndPort(host):
		return "must be a host as it stands in an address, with a port if it has one, " + example
	case len(path) > 255 || !basePath.MatchString(path):
		return "must be the host and the path behind it, without a slash at the end, " + example
	}
	return ""
}

// isHostAndPort reports whether a value is one host, in the one spelling that everybody reads alike, and
// possibly a port: a DNS name, or an IP address in its usual notation.
func isHostAndPort(value string) bool {
	u, err := url.Parse("https://" + value)
	if err != nil || u.Host != value || u.User != nil {
		return false
	}
	host := u.Hostname()
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" {
		if err != nil || port == 0 || u.Port() != strconv.FormatUint(port, 10) {
			return false
		}
		value = strings.TrimSuffix(value, ":"+u.Port())
	}
	if address, err := netip.ParseAddr(host); err == nil {
		spelled := address.String()
		if address.Is6() {
			spelled = "[" + spelled + "]"
		}
		return value == spelled && address.Zone() == "" && !address.Is4In6()
	}
	last := host[strings.LastIndex(host, ".")+1:]
	return value == host && isHostName(host) && !numberLabel.MatchString(last)
}

// maxLabel bounds a label of a DNS name, in bytes.
const maxLabel = 63

// isHostName reports whether a value is a DNS name in lower case.
func isHostName(value string) bool {
	for label := range strings.SplitSeq(value, ".") {
		if len(label) > maxLabel || !hostLabel.MatchString(label) {
			return false
		}
	}
	return len(value) <= 253
}

const (
	seeConsole       = "must be set; the provider's developer console shows it"
	seeDocumentation = "must be set; the provider's documentation has it. Or choose a provider that " +
		"plugin-oauth knows"
	mustBeEncrypted = "must start with https://, since secrets are sent there. Only on this machine it may " +
		"be http://, or with ALLOW_HTTP=1 in the environment"
)

// Validate returns what must be fixed, one error for each field. The client must be complete. A blank
// RedirectURI is left to the caller, who knows what it should be.
func (c *Client) Validate() []FieldError {
	var errs FieldErrors
	preset, _ := FindPreset(c.Provider)
	c.validateProvider(&errs)
	c.validateTenant(&errs)
	errs.Check("clientId", c.ClientID != "", seeConsole)
	errs.Check("clientSecret", c.ClientSecret != "" || c.IsPublic(), seeConsole)
	endpointParams := c.validateEndpoints(&errs, preset)
	c.validateAuthorizeParams(&errs, endpointParams)
	c.validateLoginParams(&errs, endpointParams)
	c.validateTokenParams(&errs)
	c.validateRedirectParams(&errs)
	c.validateAPIHosts(&errs)
	c.validateRedirectName(&errs, preset)
	c.validateSignedSecret(&errs)
	c.validateChoices(&errs)
	return errs
}

// validateChoices checks the values that are one of a few words.
func (c *Client) validateChoices(errs *FieldErrors) {
	tokenAuths := []TokenAuth{TokenAuthBody, TokenAuthBasic, TokenAuthBasicSecret, TokenAuthNone}
	errs.Check("tokenAuth", slices.Contains(tokenAuths, c.TokenAuth),
		"must be body, basic, basic-secret or none")
	errs.Check("tokenAuth", c.LongLived == nil || !c.IsPublic(),
		"must not be none: the provider gives a long-lived token for the client secret only")
	formats := []TokenFormat{TokenFormatForm, TokenFormatJSON}
	errs.Check("tokenFormat", slices.Contains(formats, c.TokenFormat), "must be form or json")
	errs.Check("pkce", slices.Contains([]string{"on", PKCEOff}, c.PKCE), "must be on or off")
	errs.Check("pkce", !c.IsPublic() || c.usesPKCE(),
		"must be on: tokenAuth is none, and without a secret nothing else protects the code")
	errs.Check("revokeKind", slices.Contains(revokeKinds, c.RevokeKind),
		"must be rfc7009, token, bearer, json, json-client or delete")
	errs.Check("revokeKind", c.RevokeKind != RevokeJSONWithClient || !c.IsPublic(),
		"must be another: json-client sends the client secret, and tokenAuth is none")
}

// FieldErrors collects the first error of each field.
type FieldErrors []FieldError

// Check adds an error unless the value is good, or the field has one already.
func (e *FieldErrors) Check(field string, good bool, fix string) {
	if !good && !e.Has(field) {
		*e = append(*e, FieldError{Field: field, Fix: fix})
	}
}

// Has reports whether a field has an error.
func (e *FieldErrors) Has(field string) bool {
	return slices.ContainsFunc(*e, func(err FieldError) bool { return err.Field == field })
}

func (c *Client) validateProvider(errs *FieldErrors) {
	if !c.namesUnknownProvider() {
		return
	}
	errs.Check("provider", false, fixOfUnknownPreset(c.Provider))
}

func (c *Client) namesUnknownProvider() bool {
	_, known := FindPreset(c.Provider)
	return c.Provider != "" && !known
}

func (c *Client) validateTenant(errs *FieldErrors) {
	switch {
	case c.Tenant != "" && c.tenant == nil:
		errs.Check("tenant", false, "must be blank: the endpoints have no placeholder for it")
	case c.tenant != nil && c.tenant.Kind == TenantRegion:
		names := strings.Join(slices.Sorted(maps.Keys(c.tenant.Hosts)), ", ")
		_, ok := c.checkTenant(cmp.Or(c.Tenant, c.tenant.Default))
		errs.Check("tenant", ok, "must be one of "+names)
	case c.tenant != nil && c.tenant.isHost() && c.Tenant != "":
		fix := c.tenant.fixOfHost(c.Tenant)
		errs.Check("tenant", fix == "", fix)
	case c.Tenant != "":
		_, ok := c.checkTenant(c.Tenant)
		errs.Check("tenant", ok, "must be only the name, such as "+c.tenant.Example)
	case c.tenant != nil && (c.tenant.Fixed || c.tenant.isHost()) && c.tenant.Default == "":
		errs.Check("tenant", false, "must be set to yours, such as "+c.tenant.Example)
	}
}

// validateEndpoints checks the endpoints, and returns the query parameters that the authorization endpoint
// already has.
func (c *Client) validateEndpoints(errs *FieldErrors, preset Preset) url.Values {
	validateURL(errs, fieldValue{field: "redirectUri", value: c.RedirectURI})
	// With an unknown provider, that is the one thing to fix.
	unknown := c.namesUnknownProvider()
	errs.Check("authorizeEndpoint", c.AuthorizeEndpoint != "" || unknown, seeDocumentation)
	errs.Check("tokenEndpoint", c.TokenEndpoint != "" || unknown, seeDocumentation)
	var params url.Values
	for _, endpoint := range []struct{ field, value, preset string }{
		{field: "authorizeEndpoint", value: c.AuthorizeEndpoint, preset: preset.AuthorizeEndpoint},
		{field: "tokenEndpoint", value: c.TokenEndpoint, preset: preset.TokenEndpoint},
		{field: "revokeEndpoint", value: c.RevokeEndpoint, preset: preset.RevokeEndpoint},
		{field: "issuer", value: c.Issuer, preset: preset.Issuer},
	} {
		if endpoint.value == endpoint.preset {
			continue
		}
		u := validateURL(errs, fieldValue{field: endpoint.field, value: endpoint.value})
		if endpoint.field != "issuer" && !c.AllowHTTP {
			errs.Check(endpoint.field, !InTheClear(endpoint.value), mustBeEncrypted)
		}
		if endpoint.field == "authorizeEndpoint" && u != nil {
			params = u.Query()
		}
	}
	return params
}

// fieldValue is one value of a client, with the name of its field.
type fieldValue struct{ field, value string }

// validateURL checks an address unless it is blank. It returns nil for one that is blank or not valid.
func validateURL(errs *FieldErrors, address fieldValue) *url.URL {
	if address.value == "" {
		return nil
	}
	// Outside of a preset, a placeholder would let whoever names a tenant choose the host that is sent the
	// client secret.
	hasPlaceholder := strings.ContainsAny(address.value, "{}")
	errs.Check(address.field, !hasPlaceholder, "must not hold a placeholder such as {tenant}")
	u, err := ParseAbsoluteURL(address.value)
	if err != nil {
		errs.Check(address.field, false, err.Error())
		return nil
	}
	return u
}

func (c *Client) validateAuthorizeParams(errs *FieldErrors, endpointParams url.Values) {
	params, ok := parseParams(c.AuthorizeParams)
	errs.Check("authorizeParams", ok, "must be a query string such as access_type=offline&prompt=consent")
	for _, name := range c.ownAuthorizationParams() {
		fix := fmt.Sprintf("must not carry %s, which plugin-oauth adds by itself", name)
		errs.Check("authorizeEndpoint", !endpointParams.Has(name), fix)
		errs.Check("authorizeParams", !params.Has(name), fix)
	}
	for name, values := range params {
		errs.Check("authorizeParams", len(values) == 1 && !endpointParams.Has(name),
			"must not carry a parameter twice, here and in the endpoint included")
	}
}

// ParseAbsoluteURL parses an http(s) URL with a host and no fragment. Its error says what the value must be,
// and quotes none of it.
func ParseAbsoluteURL(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https"}, u.Scheme):
		return nil, errors.New("must be an absolute URL that starts with https:// or http://")
	case strings.Contains(value, "#") || u.User != nil:
		return nil, errors.New("must have neither a fragment (#) nor a user name")
	}
	return u, nil
}

// InTheClear reports whether what is sent to an address crosses a network without encryption.
func InTheClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !IsLoopback(u.Hostname())
}

// IsLoopback reports whether a host, as in [url.URL.Hostname], is this machine.
func IsLoopback(host string) bool {
	host = strings.ToLower(host)
	address, _ := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || address.Unmap().IsLoopback()
}

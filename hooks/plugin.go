package hooks

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// Plugin is a design-tool plugin together with the OAuth client (RFC 6749 section 1.1) that signs its people in.
type Plugin struct {
	// Slug is the first part of the plugin's addresses. Blank: it answers at the root.
	Slug string

	// Name is what people read on the pages. Blank: the pages do without.
	Name string

	// ReturnApp is the app that people return to after the login. Blank means Framer.
	ReturnApp string

	// ClientID and ClientSecret come from the provider's developer console (RFC 6749 section 2.2).
	ClientID, ClientSecret string

	// RedirectURI is what the provider redirects the browser to. Its path ends in /redirect.
	RedirectURI string

	// AuthorizeEndpoint and TokenEndpoint are the provider's (RFC 6749 section 3), as absolute URLs.
	// The authorize endpoint may carry a query of its own, which is kept.
	AuthorizeEndpoint, TokenEndpoint string

	// Scope is sent as it stands: providers differ in what separates scopes. Blank leaves the parameter out.
	Scope string

	// AuthorizeParams are further authorization parameters as a query string: access_type=offline&prompt=consent.
	AuthorizeParams string

	// TokenAuth is the client authentication at the token endpoint (RFC 6749 section 2.3.1):
	// "body" (or blank) or "basic". It is never probed, since a probe would use up the code.
	TokenAuth string

	// PKCE is "on" (or blank) or "off". A few providers refuse RFC 7636.
	PKCE string

	// PluginID and ParentDomain allow the origins https://<id>.<parent> and https://<id>-<version>.<parent>.
	// A blank id allows no published plugin; a blank parent means plugins.framercdn.com.
	PluginID, ParentDomain string

	// AllowedOrigins are further origins, matched exactly. "null" is one (sandboxed frames send it), "*" allows all.
	AllowedOrigins []string
}

func (p Plugin) withDefaults() Plugin {
	if p.ReturnApp == "" {
		p.ReturnApp = defaultReturnApp
	}
	if p.ParentDomain == "" {
		p.ParentDomain = defaultParentDomain
	}
	// Browsers send the host of an origin in lower case.
	p.PluginID, p.ParentDomain = strings.ToLower(p.PluginID), strings.ToLower(p.ParentDomain)
	return p
}

// ownParams are the authorization parameters that the relay sends itself. RFC 6749 section 3.1 forbids to repeat one.
var ownParams = []string{"client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge", "code_challenge_method"}

func (p *Plugin) validate() error {
	authorizeURL, authorizeErr := absoluteURL("AUTHORIZE_ENDPOINT", p.AuthorizeEndpoint)
	_, tokenErr := absoluteURL("TOKEN_ENDPOINT", p.TokenEndpoint)
	redirectURL, redirectErr := absoluteURL("REDIRECT_URI", p.RedirectURI)
	params, paramsErr := url.ParseQuery(p.AuthorizeParams)
	switch {
	case p.ClientID == "":
		return errors.New("CLIENT_ID is missing; the provider's developer console shows it")
	case p.ClientSecret == "":
		return errors.New("CLIENT_SECRET is missing; the provider's developer console shows it")
	case p.RedirectURI == "":
		return errors.New("REDIRECT_URI is missing; it is the address of this service with /redirect behind it, such as http://localhost:8787/redirect")
	case redirectErr != nil:
		return redirectErr
	case !strings.HasSuffix(strings.TrimSuffix(redirectURL.Path, "/"), "/redirect"):
		return errors.New("REDIRECT_URI must end in /redirect, such as https://my-backend.fly.dev/redirect")
	case p.AuthorizeEndpoint == "":
		return errors.New("AUTHORIZE_ENDPOINT is missing; the provider's documentation has it")
	case p.TokenEndpoint == "":
		return errors.New("TOKEN_ENDPOINT is missing; the provider's documentation has it")
	case authorizeErr != nil:
		return authorizeErr
	case tokenErr != nil:
		return tokenErr
	case paramsErr != nil:
		return errors.New("AUTHORIZE_PARAMS must be a query string such as access_type=offline&prompt=consent")
	case !slices.Contains([]string{"", "body", "basic"}, p.TokenAuth):
		return fmt.Errorf("TOKEN_AUTH %q is unknown; use body or basic", p.TokenAuth)
	case !slices.Contains([]string{"", "on", "off"}, p.PKCE):
		return fmt.Errorf("PKCE %q is unknown; use on or off", p.PKCE)
	case strings.Trim(p.PluginID, hostLabel) != "":
		return errors.New("PLUGIN_ID is only the id, such as abc123; the address of the plugin's submission to the marketplace has it")
	case strings.Trim(p.ParentDomain, hostLabel+".") != "":
		return errors.New("PLUGIN_PARENT_DOMAIN is only a domain, such as plugins.framercdn.com")
	}
	for _, name := range ownParams {
		if authorizeURL.Query().Has(name) {
			return fmt.Errorf("AUTHORIZE_ENDPOINT carries %s, which plugin-oauth adds by itself; take it out of the address", name)
		}
		if params.Has(name) {
			return fmt.Errorf("AUTHORIZE_PARAMS carries %s, which plugin-oauth adds by itself; take it out", name)
		}
	}
	for _, allowed := range p.AllowedOrigins {
		if allowed == "*" || allowed == "null" {
			continue
		}
		if origin, err := originOf(allowed); err != nil {
			return fmt.Errorf("ALLOWED_ORIGINS entry %q %w", allowed, err)
		} else if origin != allowed {
			return fmt.Errorf("ALLOWED_ORIGINS entry %q must be written as browsers send it: %s", allowed, origin)
		}
	}
	return nil
}

// authorizationURL is where the browser starts the login (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
func (p *Plugin) authorizationURL(state, verifier string) string {
	endpoint := p.AuthorizeEndpoint
	if p.AuthorizeParams != "" {
		separator := "?"
		if strings.Contains(endpoint, "?") {
			separator = "&"
		}
		endpoint += separator + p.AuthorizeParams
	}
	client := oauth2.Config{
		ClientID:    p.ClientID,
		RedirectURL: p.RedirectURI,
		Endpoint:    oauth2.Endpoint{AuthURL: endpoint},
	}
	if p.Scope != "" {
		client.Scopes = []string{p.Scope}
	}
	if p.PKCE == "off" {
		return client.AuthCodeURL(state)
	}
	return client.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

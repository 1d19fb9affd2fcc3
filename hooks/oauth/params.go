package oauth

import (
	"bytes"
	"cmp"
	"encoding/json/jsontext"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This file has the parameters that an author adds: to the login, to the token request, and from the redirect
// to the token response.

// ownAuthorizationParams are the authorization parameters that [Client.AuthorizationURL] sends itself. RFC
// 6749 section 3.1 forbids repeating one.
func (c *Client) ownAuthorizationParams() []string {
	return []string{
		c.clientIDParam(), "client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge",
		"code_challenge_method",
	}
}

// ownTokenParams are the parameters of token requests that [Endpoint] sends itself, or that would take their
// place.
func (c *Client) ownTokenParams() []string {
	return []string{
		c.clientIDParam(), "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token",
		"client_id", "client_secret", "client_assertion", "client_assertion_type",
	}
}

// parseParams parses a query string of an author's, and reports whether it is one.
func parseParams(query string) (url.Values, bool) {
	params, err := url.ParseQuery(query)
	unfit := func(r rune) bool { return r == '#' || r <= ' ' || r > '~' }
	return params, err == nil && !strings.ContainsFunc(query, unfit)
}

func (c *Client) validateTokenParams(errs *FieldErrors) {
	params, ok := parseParams(c.TokenParams)
	errs.Check("tokenParams", ok && !params.Has(""),
		"must be a query string such as resource=https://api.example")
	for _, name := range c.ownTokenParams() {
		errs.Check("tokenParams", !params.Has(name),
			fmt.Sprintf("must not carry %s, which plugin-oauth adds by itself", name))
	}
}

var paramName = regexp.MustCompile(`^[A-Za-z0-9._~:\[\]-]+$`)

// isParamName reports whether a value is the name of a parameter in a list of them.
func isParamName(name string) bool { return len(name) <= 64 && paramName.MatchString(name) }

// checkNames checks a list of names of parameters, without those that are refused.
func checkNames(errs *FieldErrors, field string, list nameList) {
	seen := map[string]bool{}
	for i, name := range list.names {
		errs.Check(field, isParamName(name), fmt.Sprintf("must be names of parameters such as %s, with "+
			"commas between; number %d is none", list.example, i+1))
		refused := slices.Contains(list.refused, name)
		errs.Check(field, !refused, fmt.Sprintf("must not name %s, %s", name, list.why))
		errs.Check(field, !seen[name], fmt.Sprintf("must name each parameter once; number %d is there "+
			"already", i+1))
		seen[name] = true
	}
}

// nameList is a list of names of parameters, and what must not be in it.
type nameList struct {
	names, refused []string
	example, why   string // why continues "must not name code, "
}

// notForPlugins are parameters of the redirect that are the service's own, or that a plugin would take for
// what the provider's token endpoint says (RFC 6749 sections 4.1.2 and 5).
var notForPlugins = []string{
	"code", "state", "error", "error_description", "error_uri", "ok", "access_token", "refresh_token",
	"id_token", "token_type", "expires_in",
	"choice", // of the confirmation page
}

func (c *Client) validateRedirectParams(errs *FieldErrors) {
	checkNames(errs, "redirectParams", nameList{
		names: c.RedirectParams, refused: notForPlugins, example: "realmId",
		why: "which is not for the plugin, or is in the token response",
	})
}

func (c *Client) validateLoginParams(errs *FieldErrors, endpointParams url.Values) {
	own := slices.DeleteFunc(c.ownAuthorizationParams(), func(name string) bool { return name == "scope" })
	// A request object would take the place of all that plugin-oauth sends (RFC 9101), and another response
	// mode would bring the code elsewhere.
	own = append(own, "request", "request_uri", "response_mode", "client_secret", "code_verifier")
	checkNames(errs, "loginParams", nameList{
		names: c.LoginParams, refused: own, example: "prompt,login_hint,scope",
		why: "which only plugin-oauth may send",
	})
	for _, name := range c.LoginParams {
		errs.Check("loginParams", !endpointParams.Has(name),
			fmt.Sprintf("must not name %s, which the authorization endpoint carries already", name))
	}
	errs.Check("loginParams", c.Scope != "" || !slices.Contains(c.LoginParams, "scope"),
		"must not name scope unless the setting scope has those that plugins may choose from")
}

// validateRedirectName checks the name that takes the place of the redirect URI.
func (c *Client) validateRedirectName(errs *FieldErrors, preset Preset) {
	unfit := func(r rune) bool { return r <= ' ' || r > '~' }
	errs.Check("redirectName", !strings.ContainsFunc(c.RedirectName, unfit) && len(c.RedirectName) <= 255,
		"must be the name that the provider's developer console gives to the redirect URI")
	errs.Check("redirectName", preset.RedirectName == "" || c.RedirectName != "",
		"must be set to the name that the provider's developer console gives to the redirect URI, such as "+
			preset.RedirectName)
}

// maxLoginParam bounds a parameter that comes with the start of a login, in bytes. Each becomes a part of an
// address that browsers must open.
const maxLoginParam = 1024

// LoginParamError says that a request to start a login carries a parameter that cannot be sent on. Its text
// is a sentence for the author of the plugin.
type LoginParamError struct {
	// Code is invalid_scope or invalid_request (RFC 6749 section 4.1.2.1).
	Code string

	// Description is the sentence. It quotes no value.
	Description string
}

// Error returns the sentence.
func (e *LoginParamError) Error() string { return e.Description }

// CheckLoginParams checks parameters that came with the request to start a login, by their names. Only those
// that LoginParams names may be among them, and a scope must ask for a part of Scope. It fails with a
// *[LoginParamError].
func (c *Client) CheckLoginParams(params map[string]string) error {
	for name, value := range params {
		switch {
		case !slices.Contains(c.LoginParams, name):
			return &LoginParamError{Code: "invalid_request",
				Description: "The parameter " + name + " is not in the plugin's setting loginParams."}
		case len(value) > maxLoginParam || !utf8.ValidString(value) ||
			strings.ContainsFunc(value, unicode.IsControl):
			return &LoginParamError{Code: "invalid_request",
				Description: fmt.Sprintf("The parameter %s must be text of at most %d bytes.", name,
					maxLoginParam)}
		}
	}
	if scope := params["scope"]; scope != "" && !c.includesScope(scope) {
		return &LoginParamError{Code: "invalid_scope", Description: "The plugin asks for a scope that its " +
			"setting scope does not have. It may ask for a part of those only, separated as they are there."}
	}
	return nil
}

// includesScope reports whether each of the scopes is one of the client's.
func (c *Client) includesScope(scope string) bool {
	separator := c.scopeSeparator()
	own := strings.Split(c.Scope, separator)
	asked := false
	for part := range strings.SplitSeq(scope, separator) {
		if part = strings.Trim(part, " "); part == "" {
			continue
		}
		asked = true
		if !slices.ContainsFunc(own, func(known string) bool { return strings.Trim(known, " ") == part }) {
			return false
		}
	}
	return asked
}

// scopeSeparator is what separates the scopes: the preset's separator, or else a comma if Scope has one and
// no space, or else a space.
func (c *Client) scopeSeparator() string {
	preset, _ := FindPreset(c.Provider)
	separator := preset.ScopeSeparator
	if separator == "" && strings.Contains(c.Scope, ",") && !strings.Contains(c.Scope, " ") {
		separator = ","
	}
	return cmp.Or(separator, " ")
}

// FixOfScope says how to fix Scope for the client's provider, as far as its preset knows, as in "must be
// set". It is blank if nothing is known to be wrong.
func (c *Client) FixOfScope() string {
	preset, known := c.LikelyPreset()
	separator := preset.ScopeSeparator
	switch {
	case !known:
		return ""
	case c.Scope == "" && preset.ScopeRequired:
		return "must be set: " + preset.Title + " refuses a login that asks for no scope"
	case separator == " " && strings.Contains(c.Scope, ","):
		return "must have spaces between the scopes, not commas, for " + preset.Title
	case separator == "," && strings.Contains(c.Scope, " ") && !strings.Contains(c.Scope, ","):
		return "must have commas between the scopes, not spaces, for " + preset.Title
	}
	return ""
}

// RedirectParamNames returns the names of the parameters of the redirect that are needed once the code is
// exchanged: by [CodeGrant.RedirectParams], and by [Client.WithRedirectParams].
func (c *Client) RedirectParamNames() []string {
	names := slices.Concat(c.CodeRedirectParams, c.RedirectParams)
	if c.region != nil {
		names = append(names, c.region.Name, c.region.HostParam)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// WithRedirectParams returns a token response with the parameters of the redirect that RedirectParams names,
// as string members in that order right behind its opening brace. Parameters that are blank are left out, and
// so are those that the response has a member for. All other bytes stay as they are. What is not a JSON
// object is returned as it is.
func (c *Client) WithRedirectParams(tokens []byte, params map[string]string) []byte {
	var added []member
	for _, name := range c.RedirectParams {
		if value := strings.ToValidUTF8(params[name], "\ufffd"); value != "" {
			quoted, _ := jsontext.AppendQuote(nil, value) // it fails only for what is not UTF-8
			added = append(added, member{name: name, value: quoted})
		}
	}
	return withMembers(tokens, added)
}

// member is a member of a JSON object. Its value is JSON.
type member struct {
	name  string
	value []byte
}

// withMembers puts members right behind the opening brace of a JSON object, but for those that it has
// already.
func withMembers(object []byte, added []member) []byte {
	members, isObject := jsonObject(object)
	opening := bytes.IndexByte(object, '{') + 1
	if !isObject || opening == 0 {
		return object
	}
	var inserted []byte
	for _, m := range added {
		if _, exists := members[m.name]; exists || len(m.value) == 0 {
			continue
		}
		if len(inserted) > 0 {
			inserted = append(inserted, ',')
		}
		inserted, _ = jsontext.AppendQuote(inserted, m.name)
		inserted = append(append(inserted, ':'), m.value...)
	}
	if len(inserted) > 0 && len(members) > 0 {
		inserted = append(inserted, ',')
	}
	return slices.Concat(object[:opening], inserted, object[opening:])
}

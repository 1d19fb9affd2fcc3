// Package plugins has the design-tool plugins that the service signs people in for: the one that the
// environment configures, and the records of the collection plugins, which admins edit in the dashboard. It
// looks them up, validates them, says which origins may call, and keeps their client secrets sealed.
package plugins

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"plugin-oauth/hooks/oauth"
)

// Plugin is a design-tool plugin together with the OAuth client that signs its people in. A complete Plugin
// is never changed, so it may be used concurrently.
type Plugin struct {
	oauth.Client

	// Slug is the first part of the plugin's addresses. If it is blank, the plugin answers at the root.
	Slug string

	// Name is what people read on the pages. If it is blank, they read the slug, and at the root nothing.
	Name string

	// ReturnApp is the app that people return to after the sign-in. Blank means Framer.
	ReturnApp string

	// ReturnURL is where the button on the last page leads that returns there: see [IsReturnURL]. Without one
	// there is no button.
	ReturnURL string

	// PluginID and ParentDomain allow the origins https://<id>.<parent> and https://<id>-<version>.<parent>.
	// A blank id allows no published plugin; a blank parent means plugins.framercdn.com.
	PluginID, ParentDomain string

	// AllowedOrigins are further origins of any scheme, matched exactly. "null" is one (sandboxed frames send
	// it), "*" allows all.
	AllowedOrigins []string

	// Tokens says what the plugin gets in place of the provider's tokens. Blank means [TokensPlain].
	Tokens Tokens

	// RecordID is the id of its record in the collection plugins. If it is blank, the environment configures
	// the plugin.
	RecordID string

	// Fingerprint identifies the plugin together with its present client and provider. A login that began
	// under another one is not finished: its code would go to a provider that did not issue it (RFC 9700
	// section 4.4). It is nil until the plugin is complete.
	Fingerprint []byte

	// State says whether the plugin can be used. If it is [Misconfigured], Invalid says why.
	State   State
	Invalid oauth.FieldError

	tokenKeys tokenKeys
}

// State is whether a plugin can be used.
type State int

const (
	// Available is the state of a plugin that answers.
	Available State = iota
	// SwitchedOff is the state of a plugin that its admin has disabled.
	SwitchedOff
	// SecretUnreadable is the state of a plugin whose client secret does not open with the encryption key.
	SecretUnreadable
	// Misconfigured is the state of a plugin with a field that is not valid, which may depend on the
	// environment.
	Misconfigured
)

// Reason returns a sentence that says why the plugin cannot be used, and what its admin can do. It is blank
// if the plugin can be used.
func (p *Plugin) Reason() string {
	switch p.State {
	case SwitchedOff:
		return "This plugin is switched off. Its admin can enable it in the dashboard."
	case SecretUnreadable:
		return "The plugin's client secret cannot be read. The admin must start the service with the " +
			"ENCRYPTION_KEY that it was saved under, or enter the secret again."
	case Misconfigured:
		return Sentence(fmt.Sprintf("The plugin's field %s %s", p.Invalid.Field, p.Invalid.Fix))
	default:
		return ""
	}
}

// Sentence ends what a [oauth.FieldError] says with a full stop, unless it ends with a question.
func Sentence(text string) string {
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

// Defaults are the values that stand for the blank fields of any plugin, and what holds for all of them.
type Defaults struct {
	// ParentDomain is what plugins are published under. Blank means plugins.framercdn.com.
	ParentDomain string

	// PublicURL is where the world reaches the service, without a slash at the end. It is blank if that is
	// not known.
	PublicURL string

	// AllowHTTP is that of [oauth.Client], for all plugins.
	AllowHTTP bool

	// EncryptionKey seals the client secrets of records, and the tokens of plugins with [TokensSealed]. If it
	// is blank, neither can be, and nothing opens.
	EncryptionKey string

	// OldEncryptionKey opens tokens that were sealed before the key was changed. It may be blank.
	OldEncryptionKey string
}

const (
	// DefaultReturnApp is the app that people return to where a plugin names none.
	DefaultReturnApp = "Framer"

	defaultParentDomain = "plugins.framercdn.com"
)

// New reads a plugin's values by the names that they have in the collection plugins. The plugin is not
// complete yet.
func New(value func(field string) string) Plugin {
	trimmed := func(field string) string { return strings.TrimSpace(value(field)) }
	return Plugin{
		Slug:           trimmed("slug"),
		Name:           trimmed("name"),
		ReturnApp:      trimmed("returnApp"),
		ReturnURL:      trimmed("returnUrl"),
		PluginID:       trimmed("pluginId"),
		AllowedOrigins: SplitList(trimmed("allowedOrigins")),
		Tokens:         Tokens(strings.ToLower(trimmed("tokens"))),
		Client: oauth.Client{
			Provider:          strings.ToLower(trimmed("provider")),
			Tenant:            trimmed("tenant"),
			ClientID:          trimmed("clientId"),
			ClientSecret:      trimmed("clientSecret"),
			TeamID:            trimmed("teamId"),
			KeyID:             trimmed("keyId"),
			RedirectURI:       trimmed("redirectUri"),
			AuthorizeEndpoint: trimmed("authorizeEndpoint"),
			TokenEndpoint:     trimmed("tokenEndpoint"),
			RevokeEndpoint:    trimmed("revokeEndpoint"),
			Issuer:            trimmed("issuer"),
			Scope:             trimmed("scope"),
			AuthorizeParams:   strings.TrimPrefix(trimmed("authorizeParams"), "?"),
			LoginParams:       SplitList(trimmed("loginParams")),
			RedirectParams:    SplitList(trimmed("redirectParams")),
			RedirectName:      trimmed("redirectName"),
			APIHosts:          SplitList(trimmed("apiHosts")),
			TokenParams:       strings.TrimPrefix(trimmed("tokenParams"), "?"),
			TokenAuth:         oauth.TokenAuth(strings.ToLower(trimmed("tokenAuth"))),
			TokenFormat:       oauth.TokenFormat(strings.ToLower(trimmed("tokenFormat"))),
			RevokeKind:        oauth.RevokeKind(strings.ToLower(trimmed("revokeKind"))),
			PKCE:              strings.ToLower(trimmed("pkce")),
		},
	}
}

// SplitList reads a comma-separated list. Blank items are left out.
func SplitList(value string) []string {
	var list []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// Complete returns a copy in which every blank field has its default. A complete plugin is returned as it is.
func (p Plugin) Complete(defaults Defaults) Plugin {
	if p.Fingerprint != nil {
		return p
	}
	p.ReturnApp = cmp.Or(p.ReturnApp, DefaultReturnApp)
	p.ParentDomain = cmp.Or(p.ParentDomain, defaults.ParentDomain, defaultParentDomain)
	// Browsers send the host of an origin in lower case.
	p.PluginID, p.ParentDomain = strings.ToLower(p.PluginID), strings.ToLower(p.ParentDomain)
	if p.RedirectURI == "" && defaults.PublicURL != "" {
		p.RedirectURI = defaults.PublicURL + p.RedirectPath()
	}
	p.AllowHTTP = p.AllowHTTP || defaults.AllowHTTP
	p.Tokens = cmp.Or(p.Tokens, TokensPlain)
	p.tokenKeys = newTokenKeys(defaults)
	p.Client = p.Client.Complete()
	parts := []string{p.RecordID, p.Slug, p.ClientID, p.AuthorizeEndpoint, p.TokenEndpoint, p.Tenant}
	fingerprint := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	p.Fingerprint = fingerprint[:]
	return p
}

// DisplaySlug returns a slug for people and for metrics: the blank one of the plugin at the root becomes "/".
func DisplaySlug(slug string) string { return cmp.Or(slug, "/") }

// RedirectPath returns how the plugin's redirect URI ends. No two plugins of the dashboard share one, so an
// answer to the login of one cannot be given to another (RFC 9700 section 4.4.2).
func (p *Plugin) RedirectPath() string {
	if p.Slug == "" {
		return "/redirect"
	}
	return "/" + p.Slug + "/redirect"
}

// Variable returns the environment variable of a field, such as CLIENT_ID for clientId.
func Variable(field string) string {
	if field == "name" {
		return "PLUGIN_NAME"
	}
	var b strings.Builder
	for _, r := range field {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// Where returns what an admin changes to change a field: a variable, or a field in the dashboard.
func (p *Plugin) Where(field string) string {
	if p.Slug == "" {
		return Variable(field)
	}
	return "the field " + field + " of the plugin " + p.Slug + " in the dashboard"
}

// WhereElse returns the short form of [Plugin.Where], for the second field in a sentence.
func (p *Plugin) WhereElse(field string) string {
	if p.Slug == "" {
		return Variable(field)
	}
	return field
}

var slugForm = regexp.MustCompile(`^[a-z0-9-]+$`)

// reservedSlugs are taken: by PocketBase, or by the routes of the plugin at the root.
var reservedSlugs = []string{"api", "_", "authorize", "redirect", "poll", "refresh", "revoke", "cancel",
	"fetch"}

// formOrder is the order in which a person fills in the fields.
var formOrder = []string{
	"slug", "provider", "tenant", "clientId", "clientSecret", "teamId", "keyId", "redirectUri",
	"redirectName", "authorizeEndpoint", "tokenEndpoint", "revokeEndpoint", "revokeKind", "issuer",
	"authorizeParams", "loginParams", "tokenParams", "tokenAuth", "tokenFormat", "pkce", "redirectParams",
	"apiHosts", "tokens", "pluginId", "allowedOrigins", "returnUrl",
}

// Validate returns what must be fixed, one error for each field, in the order in which a person would fix
// them. The plugin must be complete.
func (p *Plugin) Validate() []oauth.FieldError {
	errs := oauth.FieldErrors(p.Client.Validate())
	if p.Slug != "" {
		errs.Check("slug", len(p.Slug) <= 63 && slugForm.MatchString(p.Slug),
			"must consist of a-z, 0-9 and -, such as google-sheets-plugin")
		errs.Check("slug", !slices.Contains(reservedSlugs, p.Slug),
			"must be another: plugin-oauth uses this address itself")
	}
	p.validateRedirectURI(&errs)
	errs.Check("pluginId", strings.Trim(p.PluginID, hostLabel) == "",
		"must be only the id, such as abc123; the address of the plugin's submission to the marketplace "+
			"has it")
	p.validateOrigins(&errs)
	errs.Check("returnUrl", p.ReturnURL == "" || IsReturnURL(p.ReturnURL),
		"must begin with https:// or with the scheme of an app, such as framer://")
	p.validateTokens(&errs)
	rank := func(err oauth.FieldError) int { return slices.Index(formOrder, err.Field) }
	slices.SortStableFunc(errs, func(a, b oauth.FieldError) int { return cmp.Compare(rank(a), rank(b)) })
	return errs
}

func (p *Plugin) validateRedirectURI(errs *oauth.FieldErrors) {
	path := p.RedirectPath()
	errs.Check("redirectUri", p.RedirectURI != "", "must be set, or PUBLIC_URL in the environment: it is "+
		"the address of this service with "+path+" behind it, such as http://localhost:8787"+path)
	if u, err := oauth.ParseAbsoluteURL(p.RedirectURI); err == nil {
		errs.Check("redirectUri", strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), path),
			"must end in "+path+", such as https://my-backend.fly.dev"+path)
	}
}

func (p *Plugin) validateOrigins(errs *oauth.FieldErrors) {
	for i, allowed := range p.AllowedOrigins {
		// The values themselves are not repeated, since PocketBase logs what this returns.
		fix := fixOfOrigin(allowed)
		errs.Check("allowedOrigins", !strings.HasPrefix(fix, "is none"),
			fmt.Sprintf("must be origins such as https://plugin.example or app://obsidian.md, with commas "+
				"between; number %d %s", i+1, fix))
		errs.Check("allowedOrigins", fix == "",
			fmt.Sprintf("must be origins as browsers send them; number %d %s", i+1, fix))
	}
}

package doctor

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// classifyLogin reads how the authorization endpoint answers the start of a login.
func classifyLogin(p *plugins.Plugin, answer oauth.Answer, authorize endpoint) (Finding, bool) {
	if sent, redirected := sentBack(p, answer.Location); redirected {
		return classifyRefusal(p, sent)
	}
	f := Finding{
		Level:  LevelWarning,
		Plugin: label(p),
		Why:    "People may see an error instead of the provider's login.",
	}
	switch status := answer.Status; status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		// RFC 6749 section 4.1.2.1: with a client or a redirect URI that it does not know, a provider must
		// not redirect.
		f.What = fmt.Sprintf("The %s refuses the login with the status %d.", authorize.name, status)
		f.Fix = "Check " + p.Where("clientId") + ", and that the provider knows the redirect URI " +
			withoutQuery(p.RedirectURI) + "."
	default:
		if !isWrongAddress(status) && status < http.StatusInternalServerError {
			return Finding{}, false
		}
		f.What = fmt.Sprintf("The %s answers with the status %d.", authorize.name, status)
		f.Fix = "Check " + authorize.source + "."
	}
	return f, true
}

// sentBack returns the parameters of a redirect that leads back to the plugin at once. They may stand in the
// fragment, although RFC 6749 has that only for the implicit grant.
func sentBack(p *plugins.Plugin, location string) (url.Values, bool) {
	rest, found := strings.CutPrefix(location, withoutQuery(p.RedirectURI))
	if !found || (rest != "" && !strings.ContainsAny(rest[:1], "?#")) {
		return nil, false
	}
	params, err := url.ParseQuery(strings.ReplaceAll(strings.TrimLeft(rest, "?#"), "#", "&"))
	return params, err == nil
}

// What providers write in error_description, which is never repeated.
var (
	aboutPAR  = regexp.MustCompile(`(?i)pushed authorization|\bPAR\b|request_uri`)
	aboutPKCE = regexp.MustCompile(`(?i)pkce|code[_ ]challenge`)
)

// classifyRefusal reads the error that a provider redirects with before anybody has signed in (RFC 6749
// section 4.1.2.1).
func classifyRefusal(p *plugins.Plugin, sent url.Values) (Finding, bool) {
	refusal := oauth.ReadAuthorizationResponse(sent.Get).Refusal
	if refusal == nil || refusal.Meaning == oauth.Denied || refusal.Meaning == oauth.ConsentRequired {
		return Finding{}, false
	}
	f := Finding{
		Level:  LevelError,
		Plugin: label(p),
		What:   "The provider refuses the login with the error " + refusal.Code + ".",
		Why:    whyNobody,
		Fix:    refusal.Meaning.Fix(&p.Client, firstWhere(p)),
	}
	switch words := sent.Get("error_description"); {
	case isOutage(refusal):
		f.Level, f.Why = LevelWarning, whyNotKnown
		f.Fix = "Run doctor again in a few minutes."
	case aboutPAR.MatchString(words):
		f.What = "The provider wants pushed authorization requests (RFC 9126)."
		f.Fix = "plugin-oauth does not send these. Look in the provider's console for a kind of app that " +
			"does not need them."
	case aboutPKCE.MatchString(words) && p.PKCE == oauth.PKCEOff:
		f.What = "The provider wants PKCE."
		f.Fix = "Set " + p.Where("pkce") + " to on."
	case aboutPKCE.MatchString(words):
		f.What = "The provider refuses PKCE."
		f.Fix = "Set " + p.Where("pkce") + " to off."
	}
	return f, true
}

// firstWhere returns the long name of the first field, and the short names of the others.
func firstWhere(p *plugins.Plugin) oauth.Names {
	first := ""
	return func(field string) string {
		if first = cmp.Or(first, field); first == field {
			return p.Where(field)
		}
		return p.WhereElse(field)
	}
}

package hooks

import (
	"cmp"
	"context"
	"encoding/json/v2"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How providers want a token ended. All but the first are named by presets only.
var revokeKinds = []string{
	"rfc7009",     // POST of a form, authenticated as at the token endpoint
	"token",       // the same without client authentication
	"bearer",      // POST without a body; the token authorizes it
	"json",        // POST of JSON with Basic authentication
	"json-client", // POST of JSON with the client's id and secret in it
	"github",      // DELETE of the app's grant, with JSON and Basic authentication
}

// revoke handles POST /revoke?token=… (RFC 7009): it ends a token at the provider, so that a log-out in the plugin is one.
// It answers 200 {}, and does so for a token that the provider does not know, too.
func (r *relay) revoke(e *request) error {
	plugin, err := e.pluginForTenant()
	if err != nil {
		return err
	}
	if plugin.RevokeEndpoint == "" {
		return &problem{
			Status:      http.StatusNotFound,
			Code:        "not_found",
			Description: "This plugin cannot end its access at the provider from here. It ends when it is removed in the account's settings there.",
		}
	}
	token := e.param("token")
	if token == "" || len(token) > maxRefreshToken || !utf8.ValidString(token) || strings.ContainsFunc(token, unicode.IsControl) {
		return &problem{
			Status:      http.StatusBadRequest,
			Code:        "invalid_request",
			Description: "The token is missing, too long or malformed. Send it as token.",
		}
	}
	// A log-out is finished even if the plugin is closed meanwhile.
	if !r.exchanging.TryRLock() {
		return errRestarting
	}
	defer r.exchanging.RUnlock()
	request, err := plugin.revocationRequest(context.WithoutCancel(e.Request.Context()), token, e.param("token_type_hint"))
	if err != nil {
		return err
	}
	r.rotations.answers.Clear() // one of them may have this token
	status, body, err := r.ask(request)
	if err != nil {
		return err
	}
	if err := plugin.readRevocation(status, body); err != nil {
		return err
	}
	return e.writeJSON(http.StatusOK, struct{}{})
}

// revocationRequest asks for the end of a token in the provider's way.
func (p *Plugin) revocationRequest(ctx context.Context, token, hint string) (*http.Request, error) {
	newRequest := func(method, contentType, body string) (*http.Request, error) {
		// Where the kind is github, the client id is a part of the address.
		endpoint := strings.ReplaceAll(p.RevokeEndpoint, "{client_id}", url.PathEscape(p.ClientID))
		request, err := http.NewRequestWithContext(ctx, method, endpoint, strings.NewReader(body))
		if err == nil && contentType != "" {
			request.Header.Set("Content-Type", contentType)
		}
		return request, err
	}
	newJSONRequest := func(method string, members map[string]string) (*http.Request, error) {
		body, err := json.Marshal(members)
		if err != nil {
			return nil, err
		}
		return newRequest(method, "application/json", string(body))
	}
	var request *http.Request
	var err error
	switch p.revokeKind {
	case "token":
		return newRequest(http.MethodPost, "application/x-www-form-urlencoded", url.Values{"token": {token}}.Encode())
	case "bearer":
		if request, err = newRequest(http.MethodPost, "", ""); err == nil {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return request, err
	case "json":
		request, err = newJSONRequest(http.MethodPost, map[string]string{"token": token})
	case "json-client":
		return newJSONRequest(http.MethodPost, map[string]string{"client_id": p.ClientID, "client_secret": p.ClientSecret, "access_token": token})
	case "github":
		request, err = newJSONRequest(http.MethodDelete, map[string]string{"access_token": token})
	default:
		form := url.Values{"token": {token}}
		if hint != "" {
			form.Set("token_type_hint", hint)
		}
		return p.authenticatedRequest(ctx, p.RevokeEndpoint, form)
	}
	if err == nil {
		p.setBasicAuth(request)
	}
	return request, err
}

// ended are the error codes that say that a token was none, or is none any more.
var ended = []string{"invalid_token", "invalid_grant", "invalid_auth", "token_revoked", "token_expired"}

// readRevocation judges the answer to a revocation. A token that the provider does not know is as good as ended
// (RFC 7009 section 2.2), whichever way the provider says so.
func (p *Plugin) readRevocation(status int, body []byte) error {
	code, failed := "", false
	if answer, ok := jsonObject(body); ok {
		code, failed = errorOf(answer)
	}
	switch {
	case status >= 200 && status < 300 && !failed, slices.Contains(ended, code):
		return nil
	case p.revokeKind == "bearer" && status == http.StatusUnauthorized:
		return nil // the token is all that the request holds
	case p.revokeKind == "github" && (status == http.StatusNotFound || status == http.StatusUnprocessableEntity):
		return nil
	case status < 400 || status > 599:
		status = http.StatusBadGateway
	}
	problem := problem{Status: status, Code: cmp.Or(code, "server_error"), Description: "The provider did not end the access. Try again in a moment."}
	if slices.Contains([]string{"invalid_client", "unauthorized_client"}, code) {
		problem.Description = describe(code)
	}
	return problem.because(fmt.Errorf("the revoke endpoint answered %d with the error %s", status, problem.Code))
}

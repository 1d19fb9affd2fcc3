package hooks

import (
	"context"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"plugin-oauth/hooks/oauth"
)

var errNoRevokeEndpoint = &responseError{
	Status: http.StatusNotFound,
	Code:   "not_found",
	Description: "This plugin cannot end its access at the provider from here. It ends when it is removed " +
		"in the account's settings there.",
}

// revoke handles POST /revoke?token=… (RFC 7009): it revokes a token at the provider, so that a sign-out in
// the plugin ends its access. It answers 200 {}, even for a token that the provider does not know.
func (s *server) revoke(e *request) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if client.RevokeEndpoint == "" {
		return errNoRevokeEndpoint
	}
	token := oauth.Token{Value: e.param("token"), TypeHint: e.param("token_type_hint")}
	unfit := !utf8.ValidString(token.Value) || strings.ContainsFunc(token.Value, unicode.IsControl)
	if token.Value == "" || len(token.Value) > maxRefreshToken || unfit {
		return invalidRequest("The token is missing, too long or malformed. Send it as token.")
	}
	// A sign-out is finished even if the plugin is closed in the meantime.
	if !s.exchanging.TryRLock() {
		return errRestarting
	}
	defer s.exchanging.RUnlock()
	s.refreshes.clear() // one of the answers may have this token
	if err := s.endpoint(e.plugin).Revoke(context.WithoutCancel(e.Request.Context()), client,
		token); err != nil {
		return err
	}
	return e.writeJSON(http.StatusOK, struct{}{})
}

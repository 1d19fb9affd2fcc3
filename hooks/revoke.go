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

var errRevokeLimit = &responseError{
	Status:      http.StatusTooManyRequests,
	Code:        "temporarily_unavailable",
	Description: "Too many sign-outs came from this network. Try again in a minute.",
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
	sent := e.param("token")
	value, opens := e.openAnyToken(sent)
	token := oauth.Token{Value: value, TypeHint: e.param("token_type_hint")}
	switch {
	case sent != "" && !opens: // nobody can use it any more (RFC 7009 section 2.2)
		return e.writeJSON(http.StatusOK, struct{}{})
	case len(token.Value) > maxRefreshToken:
		return errTokenTooLong
	case token.Value == "" || !utf8.ValidString(token.Value) ||
		strings.ContainsFunc(token.Value, unicode.IsControl):
		return invalidRequest("The token is missing or malformed. Send it as token.")
	}
	// A sign-out is finished even if the plugin is closed in the meantime.
	if !s.exchanging.TryRLock() {
		return errRestarting
	}
	defer s.exchanging.RUnlock()
	e.forgetBody()
	network, key := s.clientNetwork(e), newTokenKey(e, token.Value)
	// A provider says nothing about a token that it does not know (RFC 7009 section 2.2), so only those that
	// came from here are certainly no junk.
	if !s.knownTokens.isGood(key) {
		if wait := s.revokeLimit.reserve(network, s.config.timing.now()); wait > 0 {
			e.setRetryAfter(wait)
			return errRevokeLimit
		}
	}
	size := len(token.Value) + len(token.TypeHint)
	leave, err := s.enterProvider(e, providerRequest{
		endpoint: e.plugin.RevokeEndpoint, token: key, size: size,
		unknown: unknownBounds.network, // each has been counted
	})
	if err != nil {
		return err
	}
	defer leave()
	s.forgetAnswers(e, key)
	s.knownTokens.good.remove(key) // it is worth one request, however often it comes
	if err := s.endpoint(e.plugin).Revoke(context.WithoutCancel(e.Request.Context()), client,
		token); err != nil {
		e.passRetryAfter(err)
		return err
	}
	return e.writeJSON(http.StatusOK, struct{}{})
}

// openAnyToken returns the provider's token for an access or a refresh token that the plugin sends, and
// whether it is one.
func (e *request) openAnyToken(sent string) (token string, opens bool) {
	for _, kind := range []oauth.TokenKind{oauth.AccessToken, oauth.RefreshToken} {
		if token, err := e.plugin.OpenToken(kind, sent); err == nil {
			return token, true
		}
	}
	return "", false
}

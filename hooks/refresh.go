package hooks

import (
	"context"
	"net/http"
)

// maxRefreshToken bounds a refresh token, in bytes. Those that are JWTs have a few thousand.
const maxRefreshToken = 16 << 10

// refresh handles POST /refresh?code=… (or refresh_token=…): it redeems the refresh token and answers with the
// provider's token response. A fault has the provider's status and one line of text, because deployed plugins take any
// JSON for tokens; a plugin that accepts application/json gets its errors so.
func (r *relay) refresh(e *request) error {
	refreshToken := e.param("code", "refresh_token")
	if refreshToken == "" || len(refreshToken) > maxRefreshToken {
		return &problem{
			Status:      http.StatusBadRequest,
			Code:        "invalid_request",
			Description: "The refresh token is missing or too long. Send it as code or refresh_token.",
		}
	}
	plugin, err := e.pluginForTenant()
	if err != nil {
		return err
	}
	// A provider that rotates has used up the refresh token once it is asked, so nothing cancels the request.
	if !r.exchanging.TryRLock() {
		return errRestarting
	}
	defer r.exchanging.RUnlock()
	tokens, err := r.refreshToken(context.WithoutCancel(e.Request.Context()), plugin, refreshToken)
	if err != nil {
		return err
	}
	return e.writeTokens(tokens)
}

package hooks

import (
	"net/http"

	"github.com/pocketbase/pocketbase/core"
)

// maxRefreshToken bounds a refresh token, in bytes. Those that are JWTs have a few thousand.
const maxRefreshToken = 16 << 10

// refresh handles POST /refresh?code=… (or refresh_token=…): it redeems the refresh token and answers with the
// provider's token response. A fault has the provider's status and one line of text, because deployed plugins take any
// JSON for tokens; a plugin that accepts application/json gets its errors so.
func (r *relay) refresh(e *core.RequestEvent) error {
	plugin, err := r.plugin()
	if err != nil {
		return err
	}
	refreshToken := param(e, "code", "refresh_token")
	if refreshToken == "" || len(refreshToken) > maxRefreshToken {
		return &problem{
			Status:      http.StatusBadRequest,
			Code:        "invalid_request",
			Description: "The refresh token is missing or too long. Send it as code or refresh_token.",
		}
	}
	tokens, err := r.refreshToken(e.Request.Context(), plugin, refreshToken)
	if err != nil {
		return err
	}
	return writeTokens(e, tokens)
}

package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
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
	tokens, err := r.refreshOnce(context.WithoutCancel(e.Request.Context()), plugin, refreshToken)
	r.metrics.refresh(plugin, err)
	if err != nil {
		return err
	}
	return e.writeTokens(tokens)
}

// rotationGrace is how long the answer to a used up refresh token is given again: to a second window of the plugin that
// was just too late to share the request.
const rotationGrace = 5 * time.Second

// rotations are the answers of the last seconds that brought a new refresh token, by a hash of the old one.
// They are in memory only.
type rotations struct {
	underWay singleflight.Group
	answers  sync.Map
}

// refreshOnce makes one request of all that come at the same time with one refresh token, and gives all its answer. To a
// provider that rotates, a second request would look like a stolen token (RFC 9700 section 4.14.2).
func (r *relay) refreshOnce(ctx context.Context, p *Plugin, refreshToken string) ([]byte, error) {
	key := sha256.Sum256([]byte(string(p.client) + p.Tenant + "\n" + refreshToken))
	answer, err, _ := r.rotations.underWay.Do(string(key[:]), func() (any, error) {
		if answer, found := r.rotations.answers.Load(key); found {
			return answer, nil
		}
		tokens, err := r.refreshToken(ctx, p, refreshToken)
		if err == nil && rotated(tokens, refreshToken) {
			r.rotations.answers.Store(key, tokens)
			time.AfterFunc(rotationGrace, func() { r.rotations.answers.Delete(key) })
		}
		return tokens, err
	})
	if err != nil {
		return nil, err
	}
	return answer.([]byte), nil
}

// rotated reports whether a token response has a refresh token that replaces the old one (RFC 6749 section 6).
func rotated(tokens []byte, old string) bool {
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	return json.Unmarshal(tokens, &answer) == nil && answer.RefreshToken != "" && answer.RefreshToken != old
}

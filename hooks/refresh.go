package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"plugin-oauth/hooks/oauth"
)

// maxRefreshToken bounds a refresh token, in bytes. Those that are JWTs have a few thousand.
const maxRefreshToken = 16 << 10

// refresh handles POST /refresh?code=… (or refresh_token=…): it redeems the refresh token and answers with
// the provider's token response. An error has the provider's status and one line of text, because deployed
// plugins take any JSON for tokens; a plugin that accepts application/json gets its errors as JSON.
func (s *server) refresh(e *request) error {
	refreshToken := e.param("code", "refresh_token")
	if refreshToken == "" || len(refreshToken) > maxRefreshToken {
		return invalidRequest("The refresh token is missing or too long. Send it as code or refresh_token.")
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	// A provider that rotates refresh tokens uses up the old one once it is asked, so nothing cancels the
	// request.
	if !s.exchanging.TryRLock() {
		return errRestarting
	}
	defer s.exchanging.RUnlock()
	ctx := context.WithoutCancel(e.Request.Context())
	key := newRefreshKey(e, client, refreshToken)
	tokens, err := s.refreshes.do(key, refreshToken, func() ([]byte, error) {
		return s.endpoint(e.plugin).Refresh(ctx, client, refreshToken)
	})
	s.metrics.refresh(e.plugin.Slug, err)
	if err != nil {
		return err
	}
	return e.writeTokens(tokens)
}

// refreshKey is a hash of the plugin with its client, the tenant and the refresh token.
type refreshKey [sha256.Size]byte

func newRefreshKey(e *request, client *oauth.Client, refreshToken string) refreshKey {
	return sha256.Sum256([]byte(string(e.plugin.Fingerprint) + client.Tenant + "\n" + refreshToken))
}

// refreshCache merges simultaneous refreshes with the same refresh token into one request, and gives its
// answer to all of them. To a provider that rotates refresh tokens, a second request would look like a stolen
// token (RFC 9700 section 4.14.2). An answer that brings a new refresh token is given again for some seconds,
// to a second window of the plugin that was just too late to share the request. Everything is in memory only.
// A cache is safe for concurrent use.
type refreshCache struct {
	kept     time.Duration
	inflight singleflight.Group
	answers  sync.Map // by refreshKey
}

func newRefreshCache(kept time.Duration) *refreshCache { return &refreshCache{kept: kept} }

func (c *refreshCache) do(key refreshKey, old string, send func() ([]byte, error)) ([]byte, error) {
	answer, err, _ := c.inflight.Do(string(key[:]), func() (any, error) {
		if answer, found := c.answers.Load(key); found {
			return answer, nil
		}
		tokens, err := send()
		if err == nil && rotated(tokens, old) {
			c.answers.Store(key, tokens)
			time.AfterFunc(c.kept, func() { c.answers.Delete(key) })
		}
		return tokens, err
	})
	if err != nil {
		return nil, err
	}
	return answer.([]byte), nil
}

// clear removes all answers.
func (c *refreshCache) clear() { c.answers.Clear() }

// rotated reports whether a token response has a refresh token that replaces the old one (RFC 6749 section
// 6).
func rotated(tokens []byte, old string) bool {
	var response struct {
		RefreshToken string `json:"refresh_token"`
	}
	return json.Unmarshal(tokens, &response) == nil && response.RefreshToken != "" &&
		response.RefreshToken != old
}

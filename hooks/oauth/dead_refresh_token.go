package oauth

import (
	"encoding/json"
	"regexp"
)

// isDeadRefreshToken decides whether an error means that the refresh token is no longer good, although its
// code does not say so: HubSpot's status BAD_REFRESH_TOKEN, Atlassian's error_description. In OAuth's words
// that is invalid_grant (RFC 6749 section 5.2), by which a plugin knows that the person must sign in again. A
// code that is blank, or that is about the client, may be overruled by the provider's own words.
func isDeadRefreshToken(code string, members map[string]json.RawMessage) bool {
	if code != "" && code != "unauthorized_client" {
		return false
	}
	for _, raw := range members {
		if deadRefreshToken.Match(raw) {
			return true
		}
	}
	return false
}

var deadRefreshToken = regexp.MustCompile(`(?i)^"[^"]*(` +
	`(bad|invalid|unknown|expired|revoked)[ _]refresh[ _]?token` +
	`|refresh[ _]?token[^"]* (invalid|expired|revoked|unknown|not valid))`)

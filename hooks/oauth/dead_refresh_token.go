package oauth

import (
	"encoding/json"
	"regexp"
)

// saysDeadRefreshToken reports whether an error says in the provider's own words that the refresh token is no
// longer good: HubSpot's status BAD_REFRESH_TOKEN, Atlassian's error_description. In OAuth's words that is
// invalid_grant (RFC 6749 section 5.2), by which a plugin knows that the person must sign in again.
func saysDeadRefreshToken(members map[string]json.RawMessage) bool {
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

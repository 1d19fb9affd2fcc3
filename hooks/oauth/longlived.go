package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// LongLived is how a provider without refresh tokens gives a token that lives longer: once after the login,
// and again before it ends. Meta's providers do so, by GET requests that have the client secret in their
// query.
type LongLived struct {
	// Endpoint and GrantType are those of the request after the login, as in
	// GET https://p.example/access_token?grant_type=ig_exchange_token.
	Endpoint  string `json:"endpoint"`
	GrantType string `json:"grantType"`

	// TokenParam is the parameter that has the access token.
	TokenParam string `json:"tokenParam"`

	// WithClientID says that the client's ID is sent beside its secret.
	WithClientID bool `json:"withClientId,omitzero"`

	// RenewEndpoint and RenewGrantType are those of a renewal, which needs no client. If they are blank, it
	// is the request after the login once more.
	RenewEndpoint  string `json:"renewEndpoint,omitzero"`
	RenewGrantType string `json:"renewGrantType,omitzero"`
}

// lengthen returns the long-lived tokens for those of a login.
func (e *Endpoint) lengthen(ctx context.Context, c *Client, tokens []byte) ([]byte, error) {
	members, _ := jsonObject(tokens)
	token := findAccessToken(members)
	if token == "" {
		return nil, notOAuth("has no access token that could be exchanged for a long-lived one")
	}
	answer, err := e.requestLongLived(ctx, longLivedRequest{address: c.lengthenURL(token)})
	if err != nil {
		return nil, err
	}
	return withRefreshToken(answer, members), nil
}

// renew returns new long-lived tokens for one.
func (e *Endpoint) renew(ctx context.Context, c *Client, token string) ([]byte, error) {
	address := c.lengthenURL(token)
	if l := c.LongLived; l.RenewEndpoint != "" {
		address = l.RenewEndpoint + "?" + url.Values{
			"grant_type": {l.RenewGrantType}, l.TokenParam: {token},
		}.Encode()
	}
	answer, err := e.requestLongLived(ctx, longLivedRequest{address: address, grantType: grantRefreshToken})
	if err != nil {
		return nil, err
	}
	return withRefreshToken(answer, nil), nil
}

func (c *Client) lengthenURL(token string) string {
	query := url.Values{
		"grant_type": {c.LongLived.GrantType}, "client_secret": {c.secret()},
		c.LongLived.TokenParam: {token},
	}
	if c.LongLived.WithClientID {
		query.Set(c.clientIDParam(), c.ClientID)
	}
	return c.LongLived.Endpoint + "?" + query.Encode()
}

// longLivedRequest is a GET. It is observed as a token request of its grant type, unless that is blank.
type longLivedRequest struct{ address, grantType string }

func (e *Endpoint) requestLongLived(ctx context.Context, sent longLivedRequest) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, sent.address, nil)
	if err != nil {
		return nil, notOAuth("cannot be asked for") // the error would quote the secret in the address
	}
	return e.sendTokenRequest(request, sent.grantType)
}

// findAccessToken returns the first access token in the members of a token response: Instagram's stands in an
// array.
func findAccessToken(members map[string]json.RawMessage) string {
	var token string
	if json.Unmarshal(members["access_token"], &token) == nil && token != "" {
		return token
	}
	var list []map[string]json.RawMessage
	if json.Unmarshal(members["data"], &list) == nil && len(list) > 0 {
		_ = json.Unmarshal(list[0]["access_token"], &token) // it stays blank
	}
	return token
}

// withRefreshToken gives long-lived tokens the member refresh_token, which a plugin sends back to renew them,
// and the person's user_id, which only the login has.
func withRefreshToken(tokens []byte, login map[string]json.RawMessage) []byte {
	members, _ := jsonObject(tokens)
	var list []map[string]json.RawMessage
	if json.Unmarshal(login["data"], &list) == nil && len(list) > 0 {
		login = list[0]
	}
	added := []member{{name: "refresh_token", value: members["access_token"]}}
	if id := login["user_id"]; id != nil {
		added = append(added, member{name: "user_id", value: id})
	}
	return withMembers(tokens, added)
}

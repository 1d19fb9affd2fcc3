package oauth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// RevokeKind is how a provider wants to be asked to revoke a token.
type RevokeKind string

const (
	// RevokeForm posts a form, authenticated as at the token endpoint (RFC 7009 section 2.1).
	RevokeForm RevokeKind = "rfc7009"
	// RevokeFormWithoutClient posts the same form without client authentication.
	RevokeFormWithoutClient RevokeKind = "token"
	// RevokeBearer posts no body; the token authorizes the request.
	RevokeBearer RevokeKind = "bearer"
	// RevokeJSON posts JSON with Basic authentication.
	RevokeJSON RevokeKind = "json"
	// RevokeJSONWithClient posts JSON with the client's ID and secret in it.
	RevokeJSONWithClient RevokeKind = "json-client"
	// RevokeDelete sends a DELETE without a body; the token authorizes the request.
	RevokeDelete RevokeKind = "delete"
	// RevokeGitHub deletes the app's grant, with JSON and Basic authentication.
	RevokeGitHub RevokeKind = "github"
)

// revokeKinds are all of them.
var revokeKinds = []RevokeKind{
	RevokeForm, RevokeFormWithoutClient, RevokeBearer, RevokeJSON, RevokeJSONWithClient, RevokeDelete,
	RevokeGitHub,
}

// Token is a token that is to be revoked.
type Token struct {
	// Value is the token itself.
	Value string

	// TypeHint is access_token or refresh_token, or blank if that is unknown (RFC 7009 section 2.1).
	TypeHint string
}

// Revoke has the provider revoke a token (RFC 7009). A token that the provider does not know is as good as
// revoked. It fails with an *[Error], or with another error if the client is not valid. The client must have
// a revocation endpoint and no open tenant.
func (e *Endpoint) Revoke(ctx context.Context, c *Client, token Token) error {
	request, err := c.revocationRequest(ctx, token)
	if err != nil {
		return err
	}
	answer, err := e.Do(request)
	if err != nil {
		return err
	}
	return c.readRevocation(answer)
}

// revocationRequest returns the request that revokes a token in the provider's own way.
func (c *Client) revocationRequest(ctx context.Context, token Token) (*http.Request, error) {
	// For RevokeGitHub, the client ID is part of the address.
	endpoint := strings.ReplaceAll(c.RevokeEndpoint, "{client_id}", url.PathEscape(c.ClientID))
	form := url.Values{"token": {token.Value}}
	switch c.RevokeKind {
	case RevokeForm:
		if token.TypeHint != "" {
			form.Set("token_type_hint", token.TypeHint)
		}
		return c.authenticatedRequest(ctx, endpointRequest{address: c.RevokeEndpoint, form: form})
	case RevokeFormWithoutClient:
		return endpointRequest{address: endpoint, form: form}.newRequest(ctx)
	case RevokeBearer:
		return authorizedByToken(ctx, endpoint, token)
	case RevokeDelete:
		request, err := authorizedByToken(ctx, endpoint, token)
		if err == nil {
			request.Method = http.MethodDelete
		}
		return request, err
	case RevokeJSON:
		return c.revokeWithJSON(ctx, endpoint, map[string]any{"token": token.Value})
	case RevokeJSONWithClient:
		members := map[string]any{"access_token": token.Value, c.clientIDParam(): c.ClientID}
		if !c.IsPublic() {
			members["client_secret"] = c.secret()
		}
		return postJSON(ctx, endpoint, members)
	case RevokeGitHub:
		request, err := c.revokeWithJSON(ctx, endpoint, map[string]any{"access_token": token.Value})
		if err == nil {
			request.Method = http.MethodDelete
		}
		return request, err
	default:
		return nil, fmt.Errorf("there is no way to revoke that is called %q", c.RevokeKind)
	}
}

// authorizedByToken returns a POST without a body that the token authorizes (RFC 6750 section 2.1).
func authorizedByToken(ctx context.Context, endpoint string, token Token) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, nil)
	if err == nil {
		request.Header.Set("Authorization", "Bearer "+token.Value)
	}
	return request, err
}

// revokeWithJSON posts JSON with Basic authentication, or a public client's ID in it.
func (c *Client) revokeWithJSON(
	ctx context.Context, endpoint string, members map[string]any,
) (*http.Request, error) {
	if c.IsPublic() {
		members[c.clientIDParam()] = c.ClientID
		return postJSON(ctx, endpoint, members)
	}
	request, err := postJSON(ctx, endpoint, members)
	if err == nil {
		c.setBasicAuth(request)
	}
	return request, err
}

// postJSON takes bytes that are not UTF-8, which a provider refuses like any other wrong value.
func postJSON(ctx context.Context, endpoint string, members map[string]any) (*http.Request, error) {
	encoded, err := json.Marshal(members, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(encoded))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, err
}

// alreadyRevoked are the error codes that say that a token is unknown, or no longer valid.
var alreadyRevoked = []string{"invalid_token", "invalid_grant", "invalid_auth", "token_revoked",
	"token_expired"}

// readRevocation returns nil if the answer to a revocation says that the token is no longer valid (RFC 7009
// section 2.2).
func (c *Client) readRevocation(answer Answer) error {
	var code string
	var failed bool
	if found, isObject := readOutline(answer.Body); isObject {
		code, failed = found.code, found.failed
	}
	switch {
	case answer.isSuccess() && !failed, slices.Contains(alreadyRevoked, code),
		c.tokenIsUnknown(answer.Status):
		return nil
	}
	err := &Error{Code: cmp.Or(code, "server_error"), Status: answer.Status, Meaning: NotRevoked,
		RetryAfter: answer.RetryAfter}
	switch code {
	case "invalid_client", "unauthorized_client":
		err.Meaning = InvalidClient
	case "unsupported_token_type":
		err.Meaning = OtherTokenType
	}
	if !answer.isError() {
		err.Status = http.StatusBadGateway
	}
	err.Cause = fmt.Errorf("the revoke endpoint answered %d with the error %s", err.Status, err.Code)
	return err
}

// tokenIsUnknown reports whether the status alone says that there is no such token.
func (c *Client) tokenIsUnknown(status int) bool {
	switch c.RevokeKind {
	case RevokeBearer, RevokeDelete:
		return status == http.StatusUnauthorized // the token is all that the request holds
	case RevokeGitHub:
		return status == http.StatusNotFound || status == http.StatusUnprocessableEntity
	default:
		return false
	}
}

package testkit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"plugin-oauth/hooks/oauth"
)

// revoke accepts a revocation in the one way that the client's RevokeKind stands for, and records the token.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, client oauth.Client) error {
	var token string
	var err error
	method := http.MethodPost
	switch client.RevokeKind {
	case "", oauth.RevokeForm:
		token, err = readRevocationForm(r, client)
	case oauth.RevokeFormWithoutClient:
		token, err = readAnonymousRevocation(r)
	case oauth.RevokeBearer:
		token, err = readBearerRevocation(r)
	case oauth.RevokeDelete:
		method = http.MethodDelete
		token, err = readBearerRevocation(r)
	case oauth.RevokeGitHub:
		method = http.MethodDelete
		token, err = readRevocationJSON(r, client)
	default:
		token, err = readRevocationJSON(r, client)
	}
	switch {
	case err != nil:
	case r.Method != method:
		err = errors.New("the method is " + r.Method)
	case token == "":
		err = errors.New("the token is missing")
	}
	if err != nil {
		return fmt.Errorf("revocation: %w", err)
	}
	p.mu.Lock()
	p.revoked = append(p.revoked, token)
	answer := p.answer
	p.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
	return nil
}

// readRevocationForm reads a revocation as RFC 7009 section 2.1 has it. A token that begins with "hinted"
// must come with the hint that it is a refresh token; the others come without one.
func readRevocationForm(r *http.Request, client oauth.Client) (token string, err error) {
	form, err := readForm(r)
	if err != nil {
		return "", err
	}
	want, err := authenticate(r, form, client)
	if err != nil {
		return "", err
	}
	want.Set("token", "*")
	if strings.HasPrefix(form.Get("token"), "hinted") {
		want.Set("token_type_hint", "refresh_token")
	}
	return form.Get("token"), compare(form, want)
}

// readAnonymousRevocation is readRevocationForm for a client that does not authenticate.
func readAnonymousRevocation(r *http.Request) (token string, err error) {
	form, err := readForm(r)
	if err != nil {
		return "", err
	}
	if r.Header.Get("Authorization") != "" {
		return "", errors.New("the client authenticates")
	}
	return form.Get("token"), compare(form, url.Values{"token": {"*"}})
}

func readBearerRevocation(r *http.Request) (token string, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	if len(body) > 0 {
		return "", errors.New("there is a body")
	}
	token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token, nil
}

// readRevocationJSON reads a revocation whose body is an object of JSON: it has the token, and if the client
// does not use Basic authentication, the client's ID and secret.
func readRevocationJSON(r *http.Request, client oauth.Client) (token string, err error) {
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return "", err
	}
	if r.Header.Get("Content-Type") != "application/json" {
		return "", errors.New("the body is not said to be JSON")
	}
	member := "access_token"
	if client.RevokeKind == oauth.RevokeJSON {
		member = "token"
	}
	want := map[string]string{member: body[member]}
	username, password, basic := r.BasicAuth()
	username, _ = url.QueryUnescape(username)
	password, _ = url.QueryUnescape(password)
	isPublic := client.TokenAuth == oauth.TokenAuthNone
	if client.RevokeKind == oauth.RevokeJSONWithClient || isPublic {
		want[client.ClientIDParam] = ClientID
		if !isPublic {
			want["client_secret"] = ClientSecret
		}
		if basic {
			return "", errors.New("the client authenticates twice")
		}
	} else if username != ClientID || password != ClientSecret {
		return "", errors.New("the client did not authenticate as agreed")
	}
	if !maps.Equal(body, want) {
		return "", fmt.Errorf("the body has the members %v", slices.Sorted(maps.Keys(body)))
	}
	return body[member], nil
}

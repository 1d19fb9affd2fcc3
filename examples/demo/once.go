package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// tokens is what a plugin reads of the provider's token response.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	ExpiresIn    int    `json:"expires_in"`
}

// signIn is the whole login as a plugin and a browser do it, over HTTP. It prints each step and stops at the first that
// does not go as it must. Keys and tokens are not printed, their claims are.
func signIn(ctx context.Context, out io.Writer, d *demo) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar}

	body, err := post(ctx, d.relayURL+"/authorize", http.StatusOK)
	if err != nil {
		return err
	}
	var login struct{ URL, ReadKey string }
	if err := json.Unmarshal(body, &login); err != nil {
		return err
	}
	authorization, err := url.Parse(login.URL)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "POST /authorize   200  login at %s with PKCE %s\n", authorization.Host, authorization.Query().Get("code_challenge_method"))

	poll := d.relayURL + "/poll?readKey=" + url.QueryEscape(login.ReadKey)
	if _, err := post(ctx, poll, http.StatusNotFound); err != nil {
		return err
	}
	fmt.Fprintln(out, "POST /poll        404  pending")

	page, err := submitLogin(ctx, browser, login.URL, d.username, d.password)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "GET  /redirect    200  %q\n", page)

	if body, err = post(ctx, poll, http.StatusOK); err != nil {
		return err
	}
	var first tokens
	if err := json.Unmarshal(body, &first); err != nil {
		return err
	}
	claims, err := claimsOf(first.IDToken)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "POST /poll        200  tokens for %d s; the ID token says\n%s\n", first.ExpiresIn, claims)

	if _, err := post(ctx, poll, http.StatusNotFound); err != nil {
		return err
	}
	fmt.Fprintln(out, "POST /poll        404  tokens are given once")

	profile, err := userinfo(ctx, d.issuer, first.AccessToken)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "GET  /userinfo    200  the access token works: %s\n", profile)

	if body, err = post(ctx, d.relayURL+"/refresh?code="+url.QueryEscape(first.RefreshToken), http.StatusOK); err != nil {
		return err
	}
	var second tokens
	if err := json.Unmarshal(body, &second); err != nil {
		return err
	}
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
		return errors.New("the refresh gave the old tokens again")
	}
	if _, err := userinfo(ctx, d.issuer, second.AccessToken); err != nil {
		return err
	}
	fmt.Fprintln(out, "POST /refresh     200  a new access token and a new refresh token")

	// The provider has used up the old refresh token; a second window of the plugin may be just about to send it.
	again, err := post(ctx, d.relayURL+"/refresh?code="+url.QueryEscape(first.RefreshToken), http.StatusOK)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, body) {
		return errors.New("a second window got another answer")
	}
	fmt.Fprintln(out, "POST /refresh     200  the same for a second window, with the old refresh token")

	if _, err := post(ctx, d.relayURL+"/revoke?token="+url.QueryEscape(second.RefreshToken), http.StatusOK); err != nil {
		return err
	}
	if _, err := post(ctx, d.relayURL+"/refresh?code="+url.QueryEscape(second.RefreshToken), http.StatusBadRequest); err != nil {
		return err
	}
	fmt.Fprintln(out, "POST /revoke      200  signed out; the new refresh token is refused, too")
	return nil
}

// post sends an empty POST, as plugins do, and returns the answer's body if it has the expected status.
func post(ctx context.Context, address string, want int) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return nil, err
	}
	return send(http.DefaultClient, request, want)
}

func send(client *http.Client, request *http.Request, want int) ([]byte, error) {
	path := request.URL.Path
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s %s answered %d, not %d", request.Method, path, response.StatusCode, want)
	}
	return body, nil
}

// submitLogin opens the authorization URL, fills in the provider's login form and follows it back to the relay.
// It returns the heading of the relay's page.
func submitLogin(ctx context.Context, browser *http.Client, authorizationURL, username, password string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, authorizationURL, nil)
	if err != nil {
		return "", err
	}
	response, err := browser.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	document, err := html.Parse(response.Body)
	if err != nil {
		return "", err
	}
	form := find(document, "form")
	if form == nil {
		return "", fmt.Errorf("the provider answered %d without a login form", response.StatusCode)
	}
	action, err := response.Request.URL.Parse(attribute(form, "action"))
	if err != nil {
		return "", err
	}
	values := url.Values{}
	for node := range form.Descendants() {
		if node.Type == html.ElementNode && node.Data == "input" {
			values.Set(attribute(node, "name"), attribute(node, "value"))
		}
	}
	values.Set("username", username)
	values.Set("password", password)
	request, err = http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	page, err := send(browser, request, http.StatusOK)
	if err != nil {
		return "", err
	}
	if document, err = html.Parse(bytes.NewReader(page)); err != nil {
		return "", err
	}
	heading := find(document, "h1")
	if heading == nil || heading.FirstChild == nil {
		return "", errors.New("the login did not come back to the relay")
	}
	return heading.FirstChild.Data, nil
}

func find(root *html.Node, tag string) *html.Node {
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && node.Data == tag {
			return node
		}
	}
	return nil
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// claimsOf returns the payload of a JWT (RFC 7519), indented.
func claimsOf(jwt string) (string, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return "", errors.New("the ID token is no JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, payload, "", "  ")
	return indented.String(), err
}

// userinfo proves an access token by using it (OpenID Connect Core section 5.3).
func userinfo(ctx context.Context, issuer, accessToken string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/userinfo", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+accessToken)
	body, err := send(http.DefaultClient, request, http.StatusOK)
	if err != nil {
		return "", err
	}
	var profile struct{ Name, Email string }
	err = json.Unmarshal(body, &profile)
	return profile.Name + " <" + profile.Email + ">", err
}

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

// login is a whole login as a plugin and a browser do it, over HTTP.
type login struct {
	*demo

	out     io.Writer
	browser *http.Client

	authorizationURL string
	poll             string // the address that is polled
	first, second    tokens // before and after the refresh
}

// signIn goes through a whole login. It prints each step and stops at the first that does not go as it must.
// Keys and tokens are not printed, their claims are.
func signIn(ctx context.Context, out io.Writer, d *demo) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	l := &login{demo: d, out: out, browser: &http.Client{Jar: jar}}
	for _, step := range []func(context.Context) error{
		l.authorize, l.agree, l.fetchTokens, l.useAccessToken, l.callAPI, l.refresh, l.revoke,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// authorize starts the login. A poll says that it is pending.
func (l *login) authorize(ctx context.Context) error {
	body, err := post(ctx, l.backendURL+"/authorize", http.StatusOK)
	if err != nil {
		return err
	}
	var started struct{ URL, ReadKey string }
	if err := json.Unmarshal(body, &started); err != nil {
		return err
	}
	authorization, err := url.Parse(started.URL)
	if err != nil {
		return err
	}
	l.authorizationURL, l.poll = started.URL, l.backendURL+"/poll?readKey="+url.QueryEscape(started.ReadKey)
	method := authorization.Query().Get("code_challenge_method")
	fmt.Fprintf(l.out, "POST /authorize   200  login at %s with PKCE %s\n", authorization.Host, method)
	if _, err := post(ctx, l.poll, http.StatusNotFound); err != nil {
		return err
	}
	fmt.Fprintln(l.out, "POST /poll        404  pending")
	return nil
}

// agree lets the person sign in at the provider, up to the backend's page.
func (l *login) agree(ctx context.Context) error {
	heading, err := l.submitForm(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "GET  /redirect    200  %q\n", heading)
	return nil
}

// fetchTokens gets the tokens, once.
func (l *login) fetchTokens(ctx context.Context) error {
	body, err := post(ctx, l.poll, http.StatusOK)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &l.first); err != nil {
		return err
	}
	claims, err := claimsOf(l.first.IDToken)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "POST /poll        200  tokens for %d s; the ID token says\n", l.first.ExpiresIn)
	fmt.Fprintln(l.out, claims)
	if _, err := post(ctx, l.poll, http.StatusNotFound); err != nil {
		return err
	}
	fmt.Fprintln(l.out, "POST /poll        404  tokens are given once")
	return nil
}

func (l *login) useAccessToken(ctx context.Context) error {
	profile, err := l.userinfo(ctx, l.first)
	if err != nil {
		return err
	}
	fmt.Fprintf(l.out, "GET  /userinfo    200  the access token works: %s\n", profile)
	return nil
}

// callAPI calls an API that browsers may not call, through the backend.
func (l *login) callAPI(ctx context.Context) error {
	_, host, _ := strings.Cut(l.notionURL, "://")
	address := l.backendURL + "/fetch/" + host + "/v1/search"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	request.Header.Set("Origin", l.pluginURL)
	request.Header.Set("Authorization", "Bearer "+l.first.AccessToken)
	request.Header.Set("Notion-Version", "2022-06-28")
	body, err := send(http.DefaultClient, request, http.StatusOK)
	if err != nil {
		return err
	}
	var list struct{ Results []struct{ ID string } }
	if err := json.Unmarshal(body, &list); err != nil {
		return err
	}
	fmt.Fprintf(l.out, "POST /fetch       200  the backend calls a stand-in for Notion's API: %d databases\n",
		len(list.Results))
	return nil
}

// refresh gets new tokens, as two windows of a plugin do at the same time.
func (l *login) refresh(ctx context.Context) error {
	refresh := l.backendURL + "/refresh?code=" + url.QueryEscape(l.first.RefreshToken)
	body, err := post(ctx, refresh, http.StatusOK)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &l.second); err != nil {
		return err
	}
	if l.second.AccessToken == l.first.AccessToken || l.second.RefreshToken == l.first.RefreshToken {
		return errors.New("the refresh gave the old tokens again")
	}
	if _, err := l.userinfo(ctx, l.second); err != nil {
		return err
	}
	fmt.Fprintln(l.out, "POST /refresh     200  a new access token and a new refresh token")

	// The provider has used up the old refresh token; a second window of the plugin may be just about to send
	// it.
	again, err := post(ctx, refresh, http.StatusOK)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, body) {
		return errors.New("a second window got another answer")
	}
	fmt.Fprintln(l.out, "POST /refresh     200  the same for a second window, with the old refresh token")
	return nil
}

// revoke signs out.
func (l *login) revoke(ctx context.Context) error {
	refreshToken := url.QueryEscape(l.second.RefreshToken)
	if _, err := post(ctx, l.backendURL+"/revoke?token="+refreshToken, http.StatusOK); err != nil {
		return err
	}
	if _, err := post(ctx, l.backendURL+"/refresh?code="+refreshToken, http.StatusBadRequest); err != nil {
		return err
	}
	fmt.Fprintln(l.out, "POST /revoke      200  signed out; the new refresh token is refused, too")
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

// submitForm opens the authorization URL, fills in the provider's login form and follows it back to the
// backend. It returns the heading of the backend's page.
func (l *login) submitForm(ctx context.Context) (heading string, err error) {
	action, values, err := l.openForm(ctx)
	if err != nil {
		return "", err
	}
	values.Set("username", l.username)
	values.Set("password", l.password)
	body := strings.NewReader(values.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), body)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	page, err := send(l.browser, request, http.StatusOK)
	if err != nil {
		return "", err
	}
	document, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return "", err
	}
	h1 := find(document, "h1")
	if h1 == nil || h1.FirstChild == nil {
		return "", errors.New("the login did not come back to the backend")
	}
	return h1.FirstChild.Data, nil
}

// openForm opens the authorization URL. It returns where the provider's login form is sent, and the values in
// it.
func (l *login) openForm(ctx context.Context) (action *url.URL, values url.Values, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.authorizationURL, nil)
	if err != nil {
		return nil, nil, err
	}
	response, err := l.browser.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	document, err := html.Parse(response.Body)
	if err != nil {
		return nil, nil, err
	}
	form := find(document, "form")
	if form == nil {
		return nil, nil, fmt.Errorf("the provider answered %d without a login form", response.StatusCode)
	}
	values = url.Values{}
	for node := range form.Descendants() {
		if node.Type == html.ElementNode && node.Data == "input" {
			values.Set(attribute(node, "name"), attribute(node, "value"))
		}
	}
	action, err = response.Request.URL.Parse(attribute(form, "action"))
	return action, values, err
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
func (l *login) userinfo(ctx context.Context, t tokens) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.issuer+"/userinfo", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+t.AccessToken)
	body, err := send(http.DefaultClient, request, http.StatusOK)
	if err != nil {
		return "", err
	}
	var profile struct{ Name, Email string }
	err = json.Unmarshal(body, &profile)
	return profile.Name + " <" + profile.Email + ">", err
}

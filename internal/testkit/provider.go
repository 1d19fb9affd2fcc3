package testkit

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// The client that each [Provider] knows.
const (
	ClientID     = "client id/1+&"     // needs encoding in a form, in an address and in Basic authentication
	ClientSecret = "client secret/+&%" // likewise
)

// TokenResponse is what a [Provider] answers unless it is told otherwise. It has what a JSON library would
// change: spaces, key order, a fractional number, and one beyond a float64.
const TokenResponse = "{ \"token_type\":\"bearer\",\n \"expires_in\": 3599.50, " +
	"\"issued_at\":\"1278448832702\",\t\"access_token\":\"AT/1+x==\", \"refresh_token\":\"RT-1\", " +
	"\"z\":{\"b\":1,\"a\":[]}, \"id\": 12345678901234567890, \"text\":\"\\u003c\\/>\" }\n"

// Provider is an authorization server that refuses every deviation from RFC 6749, 7636 and 7009, and from
// what it knows of its client: another address, an extra parameter, another way to authenticate. It answers
// such a request with 418, and records why. It is safe for concurrent use.
//
// The zero value is a handler that knows no client yet; [NewProvider] starts one that listens.
type Provider struct {
	// Server is where it listens. It is nil if the provider is the handler of another server.
	*httptest.Server

	// ProbeCode is the code that the doctor sends in place of a real one; it is answered with invalid_grant.
	// Blank means that there is none. It must not be changed once there are requests.
	ProbeCode string

	mu     sync.Mutex
	client oauth.Client
	answer http.HandlerFunc // nil: TokenResponse

	// challenges has the code challenge of each code that has not been redeemed, which is blank without PKCE.
	challenges map[string]string

	refusals  []string
	revoked   []string
	exchanges int
	checks    int
}

// NewProvider starts a provider until the test ends. The test fails if the provider has refused a request.
func NewProvider(t testing.TB) *Provider {
	p := &Provider{ProbeCode: "plugin-oauth-doctor"}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.Close()
		for _, refusal := range p.Refusals() {
			t.Errorf("the provider was asked in a wrong way: %s", refusal)
		}
	})
	return p
}

// Client returns a client of this provider for the backend at an address.
func (p *Provider) Client(backendURL string) oauth.Client {
	return oauth.Client{
		ClientID:          ClientID,
		ClientSecret:      ClientSecret,
		RedirectURI:       backendURL + "/redirect",
		AuthorizeEndpoint: p.URL + "/authorize",
		TokenEndpoint:     p.URL + "/token",
		Scope:             "read:a,write:b c",
	}
}

// Knows sets what the provider knows about its client. What comes from a preset or from a tenant must be
// filled in; the other blank fields have their defaults. The client's id and secret are always [ClientID] and
// [ClientSecret].
func (p *Provider) Knows(client oauth.Client) {
	client.RefreshEndpoint = cmp.Or(client.RefreshEndpoint, client.TokenEndpoint)
	client.ClientIDParam = cmp.Or(client.ClientIDParam, "client_id")
	client.RedirectName = cmp.Or(client.RedirectName, client.RedirectURI)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.client = client
}

// Known returns what [Provider.Knows] has set.
func (p *Provider) Known() oauth.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client
}

// Answers sets the handler for valid token requests and revocations, and returns the previous one. Nil stands
// for [TokenResponse], and for an empty answer to a revocation. The form of a token request has been read
// into Form.
func (p *Provider) Answers(handler http.HandlerFunc) (before http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.answer = p.answer, handler
	return before
}

// Exchanges counts the valid token requests, including refreshes.
func (p *Provider) Exchanges() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exchanges
}

// Checks counts the doctor's token requests: those with ProbeCode that are otherwise valid.
func (p *Provider) Checks() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checks
}

// Revoked returns the tokens of the valid revocations.
func (p *Provider) Revoked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.revoked)
}

// Refusals returns what was wrong with the requests that were refused, and clears it.
func (p *Provider) Refusals() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	refusals := p.refusals
	p.refusals = nil
	return refusals
}

// ServeHTTP answers as the provider.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := p.Known()
	address := "http://" + r.Host + r.URL.EscapedPath()
	if r.TLS != nil {
		address = "https" + strings.TrimPrefix(address, "http")
	}
	tokenEndpoints := []string{client.TokenEndpoint, client.RefreshEndpoint}
	authorizeEndpoint, _, _ := strings.Cut(client.AuthorizeEndpoint, "?")
	revokeEndpoint := strings.ReplaceAll(client.RevokeEndpoint, "{client_id}", url.PathEscape(ClientID))
	var err error
	switch {
	case r.Method == http.MethodGet && address == authorizeEndpoint:
		err = p.authorize(w, r, client)
	case r.Method == http.MethodGet && isLongLived(client, address):
		err = p.lengthen(w, r, tokenRequest{client: client, endpoint: address})
	case r.Method == http.MethodPost && slices.Contains(tokenEndpoints, address):
		err = p.token(w, r, tokenRequest{client: client, endpoint: address})
	case address == revokeEndpoint:
		err = p.revoke(w, r, client)
	default:
		err = fmt.Errorf("%s %s is no endpoint of this provider", r.Method, address)
	}
	if err != nil {
		p.mu.Lock()
		p.refusals = append(p.refusals, err.Error())
		p.mu.Unlock()
		http.Error(w, err.Error(), http.StatusTeapot)
	}
}

// authorize stands for the login page of a person who agrees at once. It answers with a redirect, or with a
// form if the client wants that.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request, client oauth.Client) error {
	_, endpointParams, _ := strings.Cut(client.AuthorizeEndpoint, "?")
	want, err := url.ParseQuery(endpointParams + "&" + client.AuthorizeParams)
	if err != nil {
		return err
	}
	want.Set(client.ClientIDParam, ClientID)
	want.Set("redirect_uri", client.RedirectName)
	want.Set("response_type", "code")
	want.Set("state", "*")
	if client.Scope != "" {
		want.Set("scope", client.Scope)
	}
	if client.PKCE != oauth.PKCEOff {
		want.Set("code_challenge", "*")
		want.Set("code_challenge_method", "S256")
	}
	query := r.URL.Query()
	for _, name := range client.LoginParams {
		if query.Has(name) {
			want.Set(name, "*") // the plugin's
		}
	}
	if rawScope.MatchString(r.URL.RawQuery) {
		return errors.New("authorization request: this provider takes the + in the scope for a plus")
	}
	if err := compare(query, want); err != nil {
		return fmt.Errorf("authorization request: %w", err)
	}
	challenge := query.Get("code_challenge")
	if client.PKCE != oauth.PKCEOff && len(challenge) != len(challengeOf(client, "")) {
		return errors.New("the code challenge is not S256")
	}
	callback := url.Values{"code": {p.newCode(challenge)}, "state": {query.Get("state")}}
	for name, value := range p.RedirectParams() {
		callback.Set(name, value)
	}
	if want.Get("response_mode") == "form_post" {
		return formPost{Address: client.RedirectURI, Params: callback}.write(w)
	}
	http.Redirect(w, r, client.RedirectURI+"?"+callback.Encode(), http.StatusFound)
	return nil
}

// rawScope finds a scope with a plus sign that is not encoded.
var rawScope = regexp.MustCompile(`(^|&)scope=[^&]*\+`)

// RedirectParams returns what the provider adds to the redirect beside code and state: what its client's
// CodeRedirectParams and RedirectParams have, and the data centre of a client that has one.
func (p *Provider) RedirectParams() map[string]string {
	client, params := p.Known(), map[string]string{}
	for _, name := range slices.Concat(client.CodeRedirectParams, client.RedirectParams) {
		params[name] = "the " + name + "+&\"\\"
	}
	preset, _ := oauth.FindPreset(client.Provider)
	if region := preset.Tenant; region != nil && region.Kind == oauth.TenantRegion {
		params[region.Name], params[region.HostParam] = client.Tenant, "https://"+region.Hosts[client.Tenant]
	}
	return params
}

func (p *Provider) newCode(challenge string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.challenges == nil {
		p.challenges = map[string]string{}
	}
	code := "code/1+" + rand.Text() // needs encoding
	p.challenges[code] = challenge
	return code
}

// compare returns an error unless the parameters are exactly the wanted ones; "*" stands for any value.
func compare(got, want url.Values) error {
	for name := range got {
		if !want.Has(name) || len(got[name]) != len(want[name]) {
			return fmt.Errorf("%s is not wanted, or stands too often: %q", name, got[name])
		}
	}
	for name := range want {
		if !got.Has(name) || (want.Get(name) != "*" && !slices.Equal(got[name], want[name])) {
			return fmt.Errorf("%s is %q, not %q", name, got[name], want[name])
		}
	}
	return nil
}

// tokenRequest is a request for a token, wherever it is sent.
type tokenRequest struct {
	client   oauth.Client
	endpoint string     // its address
	form     url.Values // what it sends
	want     url.Values // what it should send: see compare
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request, request tokenRequest) (err error) {
	read := readForm
	if request.client.TokenFormat == oauth.TokenFormatJSON {
		read = readJSON
	}
	if request.form, err = read(r); err != nil {
		return err
	}
	if request.want, err = authenticate(r, request.form, request.client); err != nil {
		return err
	}
	probe := false
	switch request.form.Get("grant_type") {
	case "authorization_code":
		probe = p.ProbeCode != "" && request.form.Get("code") == p.ProbeCode
		err = p.checkCode(request, probe)
	case "refresh_token":
		err = checkRefreshToken(request)
	default:
		err = errors.New("the grant type is wrong")
	}
	if err == nil {
		err = compare(request.form, request.want)
	}
	if err != nil {
		return fmt.Errorf("token request: %w", err)
	}
	p.mu.Lock()
	if probe {
		p.checks++
	} else {
		p.exchanges++
	}
	answer := p.answer
	p.mu.Unlock()
	switch {
	case probe:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
	case answer != nil:
		r.Form = request.form
		answer(w, r)
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, TokenResponse)
	}
	return nil
}

// checkCode checks what RFC 6749 section 4.1.3 and RFC 7636 section 4.6 say about a code, and uses it up. A
// probe is right except for its code.
func (p *Provider) checkCode(request tokenRequest, probe bool) error {
	for _, query := range []string{request.client.TokenParams, request.client.CodeParams} {
		params, err := url.ParseQuery(query)
		if err != nil {
			return err
		}
		maps.Copy(request.want, params)
	}
	for _, name := range request.client.CodeRedirectParams {
		if !probe {
			request.want.Set(name, p.RedirectParams()[name])
		}
	}
	request.want.Set("grant_type", "*")
	request.want.Set("code", "*")
	request.want.Set("redirect_uri", request.client.RedirectName)
	if request.client.PKCE != oauth.PKCEOff {
		request.want.Set("code_verifier", "*")
	}
	code := request.form.Get("code")
	p.mu.Lock()
	challenge, issued := p.challenges[code]
	delete(p.challenges, code)
	p.mu.Unlock()
	wanted := challengeOf(request.client, request.form.Get("code_verifier"))
	switch {
	case request.endpoint != request.client.TokenEndpoint:
		return errors.New("a code was sent to the refresh endpoint")
	case !issued && !probe:
		return errors.New("the code is unknown or was used")
	case challenge != "" && challenge != wanted:
		return errors.New("the code verifier does not fit the challenge")
	}
	return nil
}

// challengeOf returns the S256 code challenge that belongs to a verifier, as the client must write it.
func challengeOf(client oauth.Client, verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	if client.HexChallenge {
		return hex.EncodeToString(sum[:])
	}
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// checkRefreshToken checks what RFC 6749 section 6 says.
func checkRefreshToken(request tokenRequest) error {
	tokenParams, err := url.ParseQuery(request.client.TokenParams)
	if err != nil {
		return err
	}
	maps.Copy(request.want, tokenParams)
	request.want.Set("grant_type", "*")
	request.want.Set("refresh_token", "*")
	switch {
	case request.endpoint != request.client.RefreshEndpoint:
		return errors.New("a refresh token was sent to the token endpoint")
	case request.form.Get("refresh_token") == "":
		return errors.New("the refresh token is missing")
	}
	return nil
}

// readForm reads the form in the body of a request that asks for JSON.
func readForm(r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	isForm := r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	if !isForm || r.URL.RawQuery != "" || r.Header.Get("Accept") != "application/json" {
		return nil, errors.New("the request is not a form in the body that asks for JSON")
	}
	return url.ParseQuery(string(body))
}

func isLongLived(client oauth.Client, address string) bool {
	return client.LongLived != nil &&
		(address == client.LongLived.Endpoint || address == client.LongLived.RenewEndpoint)
}

// lengthen gives a token that lives longer for the one in the query: see [oauth.LongLived]. Whether it is the
// first time or a renewal, the address says.
func (p *Provider) lengthen(w http.ResponseWriter, r *http.Request, request tokenRequest) error {
	l, query := request.client.LongLived, r.URL.Query()
	want := url.Values{"grant_type": {l.GrantType}, "client_secret": {ClientSecret}, l.TokenParam: {"*"}}
	if l.WithClientID {
		want.Set(request.client.ClientIDParam, ClientID)
	}
	if request.endpoint == l.RenewEndpoint {
		want = url.Values{"grant_type": {l.RenewGrantType}, l.TokenParam: {"*"}}
	}
	err := compare(query, want)
	switch {
	case err != nil:
	case query.Get(l.TokenParam) == "":
		err = errors.New("the token is missing")
	case r.Header.Get("Authorization") != "" || r.ContentLength != 0:
		err = errors.New("more is sent than the query")
	}
	if err != nil {
		return fmt.Errorf("long-lived token: %w", err)
	}
	p.mu.Lock()
	answer := p.answer
	p.exchanges++
	p.mu.Unlock()
	if answer != nil {
		r.Form = query
		answer(w, r)
		return nil
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, err = io.WriteString(w, TokenResponse)
	return err
}

// readJSON reads the JSON object of strings, or of arrays of more than one, in the body of a request.
func readJSON(r *http.Request) (url.Values, error) {
	members := map[string]any{}
	if err := json.NewDecoder(r.Body).Decode(&members); err != nil {
		return nil, err
	}
	isJSON := r.Header.Get("Content-Type") == "application/json"
	if !isJSON || r.URL.RawQuery != "" || r.Header.Get("Accept") != "application/json" {
		return nil, errors.New("the request is not JSON in the body that asks for JSON")
	}
	params := url.Values{}
	for name, value := range members {
		switch value := value.(type) {
		case string:
			params.Set(name, value)
		case []any:
			for _, element := range value {
				text, isText := element.(string)
				if !isText || len(value) < 2 {
					return nil, fmt.Errorf("%s is not an array of strings", name)
				}
				params.Add(name, text)
			}
		default:
			return nil, fmt.Errorf("%s is not a string", name)
		}
	}
	return params, nil
}

// authenticate checks how the sender of a form authenticates (RFC 6749 section 2.3.1), and returns the form's
// parameters for that.
func authenticate(r *http.Request, form url.Values, client oauth.Client) (params url.Values, err error) {
	username, password, basic := r.BasicAuth()
	params = url.Values{}
	switch client.TokenAuth {
	case oauth.TokenAuthBasic:
		username, _ = url.QueryUnescape(username)
		password, _ = url.QueryUnescape(password)
	case oauth.TokenAuthBasicSecret:
		if password != "" {
			return nil, errors.New("there is a password")
		}
		username, password = ClientID, username // as it stands, without an encoding
	default:
		if basic || r.Header.Get("Authorization") != "" {
			return nil, errors.New("nobody agreed on Basic authentication")
		}
		username, password, basic = form.Get(client.ClientIDParam), form.Get("client_secret"), true
		params = url.Values{client.ClientIDParam: {"*"}, "client_secret": {"*"}}
		if client.TokenAuth == oauth.TokenAuthNone {
			delete(params, "client_secret")
			password = ClientSecret // a public client has none
		}
		if client.SignedSecret != nil {
			if err := checkSigned(password, *client.SignedSecret); err != nil {
				return nil, err
			}
			password = ClientSecret // in place of the signed one
		}
	}
	if !basic || username != ClientID || password != ClientSecret {
		return nil, errors.New("the client did not authenticate")
	}
	return params, nil
}

package testkit

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Backend is the service as plugins, browsers and admins see it: an address, and a client that asks it. It is
// safe for concurrent use, except that its methods may call T.Fatal.
type Backend struct {
	// T is the test that fails if an answer is not as it should be.
	T testing.TB

	// URL is what paths are appended to, such as http://127.0.0.1:1234 or, for a plugin of the dashboard,
	// http://127.0.0.1:1234/slug.
	URL string

	// Client has its own connections, and returns redirects instead of following them.
	Client *http.Client

	// Provider is where the people of the plugin sign in.
	Provider *Provider

	admin *admin
}

// admin signs in once, when a request first needs it.
type admin struct {
	once   sync.Once
	signIn func() (header string)
	header string
}

// NewBackend returns the backend at an address, with a new provider.
func NewBackend(t testing.TB, address string) *Backend {
	t.Helper()
	b := &Backend{T: t, URL: address, Client: NewClient(), Provider: NewProvider(t), admin: &admin{}}
	b.admin.signIn = b.signIn
	return b
}

// NewClient returns a client that does not follow redirects, and that has its own connections: those of
// http.DefaultTransport are closed whenever another test closes its httptest.Server.
func NewClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	return &http.Client{CheckRedirect: ShowRedirects, Transport: transport}
}

// ShowRedirects is a CheckRedirect of http.Client that returns redirects instead of following them.
func ShowRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Plugin returns the same backend at the address of a plugin of the dashboard, with a new provider. The
// plugin itself is not created: see [Backend.CreatePlugin].
func (b *Backend) Plugin(slug string) *Backend {
	b.T.Helper()
	plugin := *b
	plugin.URL, plugin.Provider = b.URL+"/"+slug, NewProvider(b.T)
	return &plugin
}

// Answer is a response that has been read.
type Answer struct {
	// Status is the HTTP status.
	Status int

	// Header has the response's headers.
	Header http.Header

	// Body is the whole body.
	Body string
}

// Text is the body without the elements that isolate names in the sentences of a page.
func (a Answer) Text() string { return strings.NewReplacer("<bdi>", "", "</bdi>", "").Replace(a.Body) }

// Request sends a request. A target without a scheme is appended to the backend's URL. Each header is written
// as "Name: value"; a blank one is left out.
func (b *Backend) Request(method, target, body string, headers ...string) Answer {
	b.T.Helper()
	if !strings.HasPrefix(target, "http") {
		target = b.URL + target
	}
	request, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		b.T.Fatal(err)
	}
	for _, header := range headers {
		if name, value, found := strings.Cut(header, ": "); found {
			request.Header.Set(name, value)
		}
	}
	response, err := b.Client.Do(request)
	if err != nil {
		b.T.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.T.Fatal(err)
	}
	return Answer{Status: response.StatusCode, Header: response.Header, Body: string(content)}
}

// Get sends a GET without a body.
func (b *Backend) Get(target string) Answer {
	b.T.Helper()
	return b.Request(http.MethodGet, target, "")
}

// Post sends a POST without a body.
func (b *Backend) Post(target string) Answer {
	b.T.Helper()
	return b.Request(http.MethodPost, target, "")
}

// Authorize starts a login, as a plugin does.
func (b *Backend) Authorize() (authorizationURL *url.URL, readKey string) {
	b.T.Helper()
	return b.AuthorizeAt("/authorize")
}

// AuthorizeAt is [Backend.Authorize] at another target, such as one with a tenant.
func (b *Backend) AuthorizeAt(target string) (authorizationURL *url.URL, readKey string) {
	b.T.Helper()
	return b.ParseLogin(b.Post(target))
}

// ParseLogin reads the answer of /authorize.
func (b *Backend) ParseLogin(got Answer) (authorizationURL *url.URL, readKey string) {
	b.T.Helper()
	var login struct{ URL, ReadKey string }
	if err := json.Unmarshal([]byte(got.Body), &login); err != nil || got.Status != http.StatusOK {
		b.T.Fatalf("/authorize answered %d %s", got.Status, got.Body)
	}
	authorizationURL, err := url.Parse(login.URL)
	if err != nil {
		b.T.Fatal(err)
	}
	return authorizationURL, login.ReadKey
}

// Agree lets the person sign in at the provider, and returns the address that the provider redirects to.
func (b *Backend) Agree(authorizationURL *url.URL) string {
	b.T.Helper()
	got := b.Get(authorizationURL.String())
	if got.Status != http.StatusFound {
		b.T.Fatalf("the provider answered %d %s", got.Status, got.Body)
	}
	return got.Header.Get("Location")
}

// Login goes through a whole login, and returns the page at its end.
func (b *Backend) Login() (page Answer, readKey string) {
	b.T.Helper()
	authorizationURL, readKey := b.Authorize()
	return b.Get(b.Agree(authorizationURL)), readKey
}

// Poll asks for the tokens of a login. If it gets them, it also waits until the service has noted that: only
// then does the service take the connection's next request.
func (b *Backend) Poll(readKey string) Answer {
	b.T.Helper()
	got := b.Post("/poll?readKey=" + readKey)
	if got.Status == http.StatusOK {
		b.Get("/")
	}
	return got
}

// PollUntilEnded is a poll that waits until the login has ended: a machine hears a moment later of what
// happened at another.
func (b *Backend) PollUntilEnded(readKey string) Answer {
	b.T.Helper()
	return b.Post("/poll?wait=30&readKey=" + readKey)
}

// Expect compares an answer's status and body. what names the answer in the error.
func (b *Backend) Expect(what string, got Answer, status int, body string) {
	b.T.Helper()
	if got.Status != status || got.Body != body {
		b.T.Errorf("%s: got %d %q, want %d %q", what, got.Status, got.Body, status, body)
	}
}

// ExpectPage checks that an answer is a page for a person, with a status and some words.
func (b *Backend) ExpectPage(what string, got Answer, status int, words string) {
	b.T.Helper()
	contentType := got.Header.Get("Content-Type")
	isPage := contentType == "text/html; charset=utf-8"
	if got.Status != status || !isPage || !strings.Contains(got.Text(), words) {
		b.T.Errorf("%s: got %d %s, want %d with %q\n%s",
			what, got.Status, contentType, status, words, got.Body)
	}
}

// ExpectError checks that an answer is an error in JSON, with a status, a code and a description
// (RFC 6749 section 5.2).
func (b *Backend) ExpectError(what string, got Answer, status int, code string) {
	b.T.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err := json.Unmarshal([]byte(got.Body), &body)
	if err != nil || got.Status != status || body.Error != code || body.Description == "" {
		b.T.Errorf("%s: got %d %s, want %d %s", what, got.Status, got.Body, status, code)
	}
}

// The admin of [SuperuserEnv].
const (
	SuperuserEmail    = "admin@plugin.example"
	SuperuserPassword = "superuser-password"
)

// SuperuserEnv returns the environment variables that create the admin whom [Backend.Admin] signs in.
func SuperuserEnv() []string {
	return []string{"SUPERUSER_EMAIL=" + SuperuserEmail, "SUPERUSER_PASSWORD=" + SuperuserPassword}
}

// Admin returns the header that authenticates an admin's requests: "Authorization: …". The admin of a
// [Process] is the one of [SuperuserEnv]; a [Server] creates its own.
func (b *Backend) Admin() string {
	b.T.Helper()
	b.admin.once.Do(func() { b.admin.header = b.admin.signIn() })
	return b.admin.header
}

func (b *Backend) signIn() string {
	b.T.Helper()
	body, err := json.Marshal(map[string]string{"identity": SuperuserEmail, "password": SuperuserPassword})
	if err != nil {
		b.T.Fatal(err)
	}
	target := b.root() + "/api/collections/_superusers/auth-with-password"
	got := b.Request(http.MethodPost, target, string(body), "Content-Type: application/json")
	var session struct{ Token string }
	if err := json.Unmarshal([]byte(got.Body), &session); err != nil || session.Token == "" {
		b.T.Fatalf("the admin is not let in: %d %s", got.Status, got.Body)
	}
	return "Authorization: " + session.Token
}

// CreatePlugin creates a record of the collection plugins, as the dashboard does.
func (b *Backend) CreatePlugin(fields map[string]any) Answer {
	b.T.Helper()
	return b.savePlugin(http.MethodPost, fields, "")
}

// UpdatePlugin changes the record of a plugin, as the dashboard does.
func (b *Backend) UpdatePlugin(id string, fields map[string]any) Answer {
	b.T.Helper()
	return b.savePlugin(http.MethodPatch, fields, "/"+id)
}

func (b *Backend) savePlugin(method string, fields map[string]any, path string) Answer {
	b.T.Helper()
	body, err := json.Marshal(fields)
	if err != nil {
		b.T.Fatal(err)
	}
	target := b.root() + "/api/collections/plugins/records" + path
	return b.Request(method, target, string(body), b.Admin(), "Content-Type: application/json")
}

// root returns the backend's URL without the slug of a plugin.
func (b *Backend) root() string {
	u, err := url.Parse(b.URL)
	if err != nil {
		b.T.Fatal(err)
	}
	return u.Scheme + "://" + u.Host
}

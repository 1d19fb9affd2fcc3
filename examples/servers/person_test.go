package servers

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"plugin-oauth/internal/testkit"
)

// person is somebody with a browser: it keeps cookies, and follows redirects until one leads to the backend.
type person struct {
	t       *testing.T
	client  *http.Client
	backend string // its URL
}

// page is what a person sees, or the redirect to the backend.
type page struct {
	address  *url.URL
	status   int
	body     string
	callback string // the redirect; blank if there is none
}

func newPerson(t *testing.T, b *testkit.Backend) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, backend: b.URL}
	p.client = &http.Client{Jar: jar, Timeout: 20 * time.Second}
	p.client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(next.URL.String(), b.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

// open opens an address.
func (p *person) open(address string) page {
	p.t.Helper()
	return p.read(p.client.Get(address))
}

// submit sends a form of the page that is open.
func (p *person) submit(at page, fields url.Values) page {
	p.t.Helper()
	found := formAction.FindStringSubmatch(at.body)
	if found == nil {
		p.t.Fatalf("no form is on the page %s (%d)\n%s", at.address, at.status, at.body)
	}
	target, err := at.address.Parse(html.UnescapeString(found[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.read(p.client.PostForm(target.String(), fields))
}

func (p *person) read(response *http.Response, err error) page {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	at := page{address: response.Request.URL, status: response.StatusCode, body: string(body)}
	if location := response.Header.Get("Location"); strings.HasPrefix(location, p.backend) {
		at.callback = location
	}
	return at
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formField  = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	abortLink  = regexp.MustCompile(`href="([^"]+/abort)"`)
)

// hiddenFields are the fields of a page's form that nobody fills in.
func (at page) hiddenFields() url.Values {
	fields := url.Values{}
	for _, found := range formField.FindAllStringSubmatch(at.body, -1) {
		fields.Add(found[1], html.UnescapeString(found[2]))
	}
	return fields
}

// signIn signs in on the first page of oidc-provider, and returns the one that asks for consent.
func (p *person) signIn(at page) page {
	p.t.Helper()
	fields := at.hiddenFields()
	fields.Set("login", "person")
	fields.Set("password", "any")
	return p.submit(at, fields)
}

// consent agrees on the second page of oidc-provider.
func (p *person) consent(at page) page {
	p.t.Helper()
	return p.submit(at, at.hiddenFields())
}

// abort follows the link of oidc-provider's pages that ends a login.
func (p *person) abort(at page) page {
	p.t.Helper()
	found := abortLink.FindStringSubmatch(at.body)
	if found == nil {
		p.t.Fatalf("the page %s cannot be left\n%s", at.address, at.body)
	}
	link, err := at.address.Parse(html.UnescapeString(found[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.open(link.String())
}

// agree signs in, if the person is not signed in yet, and consents. It returns the redirect to the backend.
func (p *person) agree(authorizationURL *url.URL) string {
	p.t.Helper()
	last := p.open(authorizationURL.String())
	if strings.Contains(last.body, `name="login"`) {
		last = p.signIn(last)
	}
	last = p.consent(last)
	if last.callback == "" {
		p.t.Fatalf("no redirect from %s: %d\n%s", last.address, last.status, last.body)
	}
	return last.callback
}

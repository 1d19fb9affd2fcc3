package main

import (
	_ "embed"
	"html/template"
	"net/http"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
)

//go:embed login.html
var loginHTML string

var loginTemplate = template.Must(template.New("login").Parse(loginHTML))

// loginPage shows the provider's login form in place of the one of zitadel/oidc. The user name and the
// password of the one account stand on it.
type loginPage struct {
	account

	people exampleop.Storage
	next   http.Handler // the provider, which takes the form when it is right
}

func (p loginPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/login/username" {
		p.next.ServeHTTP(w, r)
		return
	}
	switch r.Method {
	case http.MethodGet:
		p.show(w, http.StatusOK, form{ID: r.FormValue("authRequestID")})
	case http.MethodPost:
		id := r.FormValue("id")
		err := p.people.CheckUsernamePassword(r.FormValue("username"), r.FormValue("password"), id)
		if err != nil {
			p.show(w, http.StatusUnauthorized, form{ID: id, Error: err.Error()})
			return
		}
		p.next.ServeHTTP(w, r)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// form is what a login form shows and sends on.
type form struct {
	Username, Password string

	ID    string // the authorization request's
	Error string // why the last attempt failed
}

func (p loginPage) show(w http.ResponseWriter, status int, shown form) {
	shown.Username, shown.Password = p.username, p.password
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// It fails only if the browser has left.
	_ = loginTemplate.Execute(w, shown)
}

package testkit

import (
	"errors"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
)

// formPost is the page that a provider answers with in place of a redirect, and that a browser sends on at
// once (OAuth 2.0 Form Post Response Mode, section 2).
type formPost struct {
	Address string // where the form goes
	Params  url.Values
}

var formPostPage = template.Must(template.New("").Parse(`<!doctype html>
<body onload="document.forms[0].submit()">
<form method="post" action="{{.Address}}">
{{range $name, $values := .Params}}{{range $values -}}
<input type="hidden" name="{{$name}}" value="{{.}}">
{{end}}{{end}}</form>
`))

func (f formPost) write(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return formPostPage.Execute(w, f)
}

var (
	formPostAction = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
	formPostInput  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
)

// ReadFormPost returns where the page of a [Provider] that answers by a form sends it, and what is in it.
func ReadFormPost(page string) (address string, params url.Values, err error) {
	action := formPostAction.FindStringSubmatch(page)
	if action == nil {
		return "", nil, errors.New("the provider's page has no form")
	}
	params = url.Values{}
	for _, input := range formPostInput.FindAllStringSubmatch(page, -1) {
		params.Add(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
	}
	return html.UnescapeString(action[1]), params, nil
}

package hooks

import (
	"net/http"
	"slices"
	"strings"

	"plugin-oauth/hooks/doctor"
	"plugin-oauth/views"
)

// route is one address that a plugin or a browser may request, at the root or under a plugin's slug.
type route struct {
	method  string
	path    string // one that ends in a slash stands for all addresses behind it
	handle  func(*request) error
	format  format // of its errors
	public  bool   // it answers without a plugin, and HEAD like GET
	streams bool   // it reads the body itself, and takes any method
}

func (s *server) routeTable() []route {
	return []route{
		{method: http.MethodPost, path: "/authorize", handle: s.authorize},
		{method: http.MethodGet, path: "/redirect", handle: s.redirect, format: formatPage},
		{method: http.MethodPost, path: "/redirect", handle: s.confirm, format: formatPage},
		{method: http.MethodPost, path: "/poll", handle: s.poll},
		{method: http.MethodPost, path: "/cancel", handle: s.cancel},
		{method: http.MethodPost, path: "/refresh", handle: s.refresh, format: formatText},
		{method: http.MethodPost, path: "/revoke", handle: s.revoke},
		{path: fetchPath, handle: s.fetch, streams: true},
		{method: http.MethodGet, path: "/", handle: s.index, format: formatText, public: true},
		{method: http.MethodGet, path: "/client.js", handle: clientScript, format: formatText, public: true},
		{method: http.MethodGet, path: "/client.d.ts", handle: clientTypes, format: formatText, public: true},
	}
}

// match returns the route of a request, and puts the plugin of its slug into it. Without a route, or with a
// wrong method, people get the error as a page.
func (s *server) match(e *request) (route, error) {
	path, err := s.resolvePlugin(e)
	if err != nil {
		return route{}, err
	}
	var found route
	allowed := []string{http.MethodOptions}
	for _, candidate := range s.routes {
		if candidate.path != path {
			continue
		}
		found, allowed = candidate, append([]string{candidate.method}, allowed...)
		if found.streams || e.Request.Method == found.method || e.Request.Method == http.MethodOptions {
			return found, nil
		}
	}
	if found.public {
		allowed = append(allowed, http.MethodHead)
		if e.Request.Method == http.MethodHead {
			return found, nil
		}
	}
	if found.path == "" {
		return e.unmatched(found), s.noSuchAddress(e.Request.URL.Path)
	}
	methods := strings.Join(allowed, ", ")
	e.Response.Header().Set("Allow", methods)
	return e.unmatched(found), &responseError{
		Status: http.StatusMethodNotAllowed,
		Code:   "invalid_request",
		Description: "This address answers " + methods + " requests only; it is made for plugins and " +
			"providers.",
		person: views.Words.NotForPeople,
		author: "It answers " + methods + " requests only.",
		page:   pageForAuthor,
	}
}

// noSuchAddress is the error of an address that is none of the service's. One that has the path of PUBLIC_URL
// in front came through a proxy that should have taken it away.
func (s *server) noSuchAddress(path string) *responseError {
	err := &responseError{
		Status:      http.StatusNotFound,
		Code:        "not_found",
		Description: "There is no such address. Check the backend URL in the plugin.",
		person:      views.Words.NoSuchAddress,
		author:      "Check the backend URL in the plugin.",
		page:        pageForAuthor,
	}
	prefix := s.config.basePath()
	if prefix != "" && strings.HasPrefix(path+"/", prefix+"/") {
		err.Description = doctor.KeptPrefix(prefix)
		err.author = err.Description
	}
	return err
}

// resolvePlugin puts the plugin of the slug into the request, or none if the address is nobody's, and returns
// the path without the slug.
func (s *server) resolvePlugin(e *request) (path string, err error) {
	path = e.Request.URL.Path
	if strings.HasPrefix(path, fetchPath) {
		return fetchPath, nil
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if slices.ContainsFunc(s.routes, func(r route) bool { return r.path == path }) {
		return path, nil
	}
	slug, rest, _ := strings.Cut(path[1:], "/")
	e.plugin, err = s.records.Find(slug)
	switch {
	case e.plugin == nil:
	case strings.HasPrefix("/"+rest, fetchPath):
		path = fetchPath
	default:
		path = "/" + rest
	}
	return path, err
}

// unmatched returns the route of an error, which a browser gets as a page.
func (e *request) unmatched(found route) route {
	if e.accepts("text/html") {
		found.format = formatPage
	}
	return found
}

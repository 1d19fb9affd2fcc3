package hooks

import (
	"context"
	"net/http"
)

// cancel handles POST /cancel?readKey=…: the plugin waits no more, so a login that is under way ends as
// denied, and the browser that comes back from the provider is told so. It answers 204 whatever the read key
// is: nobody learns which there are, and nothing is left to do.
func (s *server) cancel(e *request) error {
	ctx := context.WithoutCancel(e.Request.Context()) // the plugin may be gone already
	id, err := s.sessions.FindCancellable(ctx, e.owner(), e.param("readKey"))
	if err == nil && id != "" { // anybody may send any number of made-up keys: they take no place
		err = s.cancelLogin(ctx, e, id)
	}
	if err != nil {
		return err
	}
	e.Response.WriteHeader(http.StatusNoContent)
	return nil
}

// cancelLogin ends a login for its plugin, unless too many are being cancelled.
func (s *server) cancelLogin(ctx context.Context, e *request, id string) error {
	leave, err := s.enterStore(e, kindCancel)
	if err != nil {
		return err
	}
	defer leave()
	return s.sessions.CancelForPlugin(ctx, id)
}

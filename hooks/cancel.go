package hooks

import (
	"context"
	"net/http"
)

// cancel handles POST /cancel?readKey=…: the plugin waits no more, so a login that is under way ends as
// denied, and the browser that comes back from the provider is told so. It answers 204 whatever the read key
// is: nobody learns which there are, and nothing is left to do.
func (s *server) cancel(e *request) error {
	readKey := e.param("readKey")
	leave, err := s.enterStore(e, kindCancel)
	if err != nil {
		return err
	}
	defer leave()
	ctx := context.WithoutCancel(e.Request.Context()) // the plugin may be gone already
	if _, err := s.sessions.CancelByReadKey(ctx, e.owner(), readKey); err != nil {
		return err
	}
	e.Response.WriteHeader(http.StatusNoContent)
	return nil
}

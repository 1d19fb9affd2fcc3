package hooks

import (
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// Patterns of PocketBase's routes with which a person signs in as an admin.
const (
	patternAuthMethods      = "GET /api/collections/{collection}/auth-methods"
	patternAuthWithPassword = "POST /api/collections/{collection}/auth-with-password"
	patternRequestOTP       = "POST /api/collections/{collection}/request-otp"
	patternAuthWithOTP      = "POST /api/collections/{collection}/auth-with-otp"
)

// maxToken bounds a token that PocketBase reads, in bytes. Its own have less than 300. It reads what a token
// says before it looks at the signature, and objects in objects in a long one take milliseconds, and half a
// megabyte of stack each.
const maxToken = 600

// maxStrangersQuery bounds the query of a stranger, in bytes. The dashboard sends less than 100 to sign in,
// and a link to a file has a token. PocketBase takes milliseconds to do what a long list of fields says.
const maxStrangersQuery = 1000

// closeToStrangers lets only admins use PocketBase's routes, except for what a person needs to sign in as
// one. PocketBase leaves many open that this service has no use for, and they cost memory, mail or rows. A
// stranger is refused before PocketBase reads a body, or looks up anything but the token.
func (s *server) closeToStrangers(e *core.ServeEvent) error {
	// It redirects from www in front of the name that the service listens at, with a page that repeats the
	// query; see isFolder.
	e.Router.Unbind(apis.DefaultWWWRedirectMiddlewareId)
	e.Router.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       "dropMadeUpTokens",
		Priority: apis.DefaultLoadAuthTokenMiddlewarePriority - 1,
		Func: func(e *core.RequestEvent) error {
			if len(e.Request.Header.Get("Authorization")) > maxToken {
				e.Request.Header.Del("Authorization")
			}
			return e.Next()
		},
	})
	e.Router.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       "closeToStrangers",
		Priority: apis.DefaultSecurityHeadersMiddlewarePriority + 1, // the token is loaded by then
		Func: func(e *core.RequestEvent) error {
			if e.HasSuperuserAuth() {
				s.favor(e)
			} else {
				if len(e.Request.URL.RawQuery) > maxStrangersQuery {
					e.Request.URL.RawQuery = ""
				}
				if err := s.refuseStranger(e); err != nil {
					return err
				}
			}
			switch e.Request.Pattern {
			case patternAuthWithPassword, patternRequestOTP, patternAuthWithOTP:
				return s.letGuess(e)
			}
			return e.Next()
		},
	})
	return nil
}

// isFolder reports whether an address is that of a folder of PocketBase's, without the slash behind it.
// ServeMux redirects from there before anything of ours is asked, with a page that repeats the query: while
// somebody reads it slowly, each & takes twenty times its memory.
func isFolder(address string) bool {
	folder, name := path.Split(address)
	return address == "/api" || (folder == "/_/extensions/" && name != "")
}

// refuseStranger returns the error for a request without the token of an admin, or nil if it may pass. It
// goes by the pattern that the router has matched, so no spelling of an address passes by it.
func (s *server) refuseStranger(e *core.RequestEvent) error {
	ofSuperusers := e.Request.PathValue("collection") == core.CollectionNameSuperusers
	switch pattern := e.Request.Pattern; pattern {
	case "GET /api/health":
		return nil
	case "/", "/api/{path...}", "/_/{path...}": // answer that there is no such address
		return nil
	case patternAuthMethods, patternAuthWithPassword, patternRequestOTP, patternAuthWithOTP:
		if ofSuperusers {
			return nil
		}
	case "GET /api/backups/{key}", "GET /api/files/{collection}/{recordId}/{filename}":
		// Browsers load these by links, which carry the token of an admin in their query.
		admin, err := e.App.FindAuthRecordByToken(e.Request.URL.Query().Get("token"), core.TokenTypeFile)
		if err == nil && admin.IsSuperuser() {
			s.favor(e)
			return nil
		}
	case "POST /api/collections/{collection}/request-password-reset",
		"POST /api/collections/{collection}/confirm-password-reset":
		if ofSuperusers {
			return e.ForbiddenError("A forgotten password is not reset by email. Set a new one on the "+
				"server with: plugin-oauth superuser upsert EMAIL PASSWORD", nil)
		}
	default:
		if strings.HasPrefix(pattern, "GET /_/") {
			// The dashboard's files, which anybody may read at PocketBase's own repository. It would compress
			// them anew for each request, and hold 0.85 MB for it until the last byte is read.
			e.Request.Header.Del("Accept-Encoding")
			e.Request.Header.Del("Range") // each of its parts costs as much as a file
			e.Response = smallCopies{ResponseWriter: e.Response}
			return nil
		}
	}
	return e.UnauthorizedError("Only admins may use this address. Sign in at /_/ first.", nil)
}

// favor gives the request of an admin, such as the download of a backup, as much time as PocketBase does.
// Nobody else's connection takes the place of its.
func (s *server) favor(e *core.RequestEvent) {
	until := time.Now().Add(s.adminTimeout)
	_ = http.NewResponseController(e.Response).SetReadDeadline(until)
	_ = http.NewResponseController(e.Response).SetWriteDeadline(until)
	s.connections.keep(e.Request) // until its end
}

// limitBody gives a stranger little time to send a body, even if nobody reads it: net/http waits for the rest
// before it answers.
func (s *server) limitBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// If the connection has no deadlines, the server's own still applies.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.config.timing.body))
	}
}

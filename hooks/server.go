package hooks

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/relay"
	"plugin-oauth/hooks/session"
	"plugin-oauth/hooks/session/sqlite"
)

// server is the service. A request goes through serve, then the file of its route, then a package, then a
// page.
type server struct {
	app              core.App
	config           Config
	records          *plugins.Records
	membership       *membership // nil: this machine is alone
	table            *sqlite.Table
	sessions         *session.Sessions
	providers        *http.Client
	refreshes        *refreshCache
	metrics          *metrics
	alerts           *alerts
	log              *slog.Logger
	failedRequests   *repeats // bounds the log lines of failed requests
	dashboardLines   *repeats // bounds our lines in the dashboard's log
	disk             *disk
	authorizeLimit   *limiter
	refreshLimit     *limiter // counts refused refreshes only
	faultLimit       *limiter // counts those that failed otherwise
	revokeLimit      *limiter
	storeGate        *gate // logins that are being stored or cancelled
	exchangeGate     *gate // of codes
	providerGate     *gate // refreshes and revocations
	unknownGate      *gate // those of them whose token is not known to be good
	revisitGate      *gate // redirects that wait for the exchange of a code
	pollGate         *gate // held polls
	apiCalls         *apiCalls
	bodyGate         *gate    // large bodies that are being read
	unknownCallLimit *limiter // counts those with a token that did not come from here
	refusedCallLimit *limiter // counts those of them whose token the API refused
	handshakeLimit   *limiter // counts those with APIs
	relay            *relay.Relay
	knownTokens      knownTokens
	largeTokens      *waitingTokens
	usualTokens      *waitingTokens
	guesses          *guesses
	connections      *connections
	pressure         *pressure
	adminTimeout     time.Duration // bounds what timing.answer does, for admins
	hidesVisitors    bool          // all come through something else on this machine
	routes           []route

	closing    chan struct{}  // closed at shutdown: waiting polls are answered
	exchanging sync.RWMutex   // held for reading while a token is requested; a shutdown takes it for good
	checking   sync.WaitGroup // the check at start
	finishing  sync.Once
}

// maxPending bounds the logins under way. They leave two thirds of connectionsMemory to the connections, or
// two fifths if each was started from an IPv6 site of its own. In ten minutes that is 50 logins a second.
const maxPending = 30_000

// sharedPending is the same for all machines of a cluster together. Each has all of them twice, in the memory
// of its table and in the index of etcd, which keeps those of the last hour, too.
const sharedPending = 15_000

// newServer returns the server of an app that has its tables. The configuration is complete and valid.
func newServer(app core.App, config Config, records *plugins.Records) (*server, error) {
	table, err := sqlite.New(app)
	if err != nil {
		return nil, err
	}
	table.Now = config.timing.now // unless the machines of a cluster know better
	dashboardLines := &repeats{}
	log := newLogger(config.Log, app.Logger().Handler(), dashboardLines)
	refreshes := newRefreshCache(config.timing.refreshKept)
	own := ownStore{app: app, records: records, sessions: table, refreshes: refreshes}
	membership, err := joinCluster(own, config, log)
	if err != nil {
		return nil, err
	}
	s := &server{
		app:              app,
		config:           config,
		records:          records,
		membership:       membership,
		table:            table,
		providers:        oauth.NewHTTPClient(config.timing.provider),
		refreshes:        refreshes,
		log:              log,
		failedRequests:   &repeats{},
		dashboardLines:   dashboardLines,
		disk:             newDisk(app, table, config.timing.now),
		authorizeLimit:   newLimiter(config.AuthorizeRateLimit),
		refreshLimit:     newLimiter(config.RefreshRateLimit),
		faultLimit:       newLimiter(config.RefreshRateLimit.times(faultShare)),
		revokeLimit:      newLimiter(config.RefreshRateLimit),
		storeGate:        newGate(storeBounds),
		exchangeGate:     newGate(exchangeBounds),
		providerGate:     newGate(providerBounds),
		unknownGate:      newGate(unknownBounds),
		revisitGate:      newGate(exchangeBounds),
		pollGate:         newGate(bounds{network: networkPolls, inAll: heldPolls}),
		apiCalls:         &apiCalls{bounds: fetchBounds},
		bodyGate:         newGate(largeBodies),
		unknownCallLimit: newLimiter(config.RefreshRateLimit.times(unknownCalls)),
		refusedCallLimit: newLimiter(config.RefreshRateLimit.times(refusedCalls)),
		handshakeLimit:   newLimiter(config.RefreshRateLimit.times(apiHandshakes)),
		relay:            relay.New(config.relayOptions()),
		largeTokens:      newWaitingTokens(maxLargeTokens),
		usualTokens:      newWaitingTokens(maxUsualTokens),
		guesses:          newGuesses(config.timing.now),
		pressure:         &pressure{most: int64(config.connectionsMemory / 2)},
		closing:          make(chan struct{}),
	}
	s.sessions = session.New(s.logins(), session.Options{
		TTL:        config.SessionTTL,
		Retention:  s.retention(),
		OnOutcome:  s.loginEnded,
		Machine:    s.machine(),
		MaxPending: s.maxPending(),
		Now:        table.Now,
	})
	s.connections = newConnections(config.connectionsMemory, func() int {
		logins := max(0, s.sessions.PendingCount()-fewLogins) * loginMemory / 10
		networks := max(0, s.sessions.NetworkCount()-fewLogins) * networkMemory / 10
		return logins + networks + refreshes.bytes()>>10
	}, s.pressure.kilobytes)
	s.connections.least = leastMemory(config.connectionsMemory, config.openFiles)
	s.metrics = newMetrics(s.sessions, config.Version)
	s.metrics.addDisk(app.DataDir())
	s.metrics.addCluster(membership)
	s.alerts = s.newAlerts()
	s.metrics.registry.MustRegister(failingPlugins{server: s})
	s.routes = s.routeTable()
	return s, nil
}

// logins returns the table of the logins: that of all machines, or this one's.
func (s *server) logins() session.Table {
	if s.membership != nil {
		return s.membership.sessions.Table
	}
	return s.table
}

// machine names this machine among those of its cluster.
func (s *server) machine() string {
	if s.membership == nil {
		return ""
	}
	return s.config.Cluster.Name
}

// maxPending is how many logins of this machine may be under way. Each machine of a cluster has a share of
// its own, since it knows only of its own logins who has started them.
func (s *server) maxPending() int {
	if s.membership == nil {
		return maxPending
	}
	return sharedPending / s.config.Cluster.Size()
}

// retention is how long the row of a login stays in that table after it has expired.
func (s *server) retention() time.Duration {
	if s.membership != nil {
		return s.membership.sessions.Retention()
	}
	return s.config.SessionRetention
}

// request is a request with the plugin that it is for, which is nil if there is none.
type request struct {
	Response http.ResponseWriter
	Request  *http.Request
	plugin   *plugins.Plugin
	route    string // its path in the route table
	body     []byte
	page     []byte // what sendPage answers with; nil: the answer is written already
	status   int    // of the page

	bodyParams func(name string) string // reads a parameter of the body; nil: it has not been decoded
	bodyMemory int                      // what the body counts with its connection, in KB
}

// owner is what the plugin's sessions belong to.
func (e *request) owner() session.Owner {
	return session.Owner{Slug: e.plugin.Slug, Fingerprint: e.plugin.Fingerprint}
}

// slug is the plugin's, or blank without one.
func (e *request) slug() string {
	if e.plugin == nil {
		return ""
	}
	return e.plugin.Slug
}

// client returns the plugin's OAuth client with the endpoints of the tenant that the request names, where
// they have a placeholder for one.
func (e *request) client() (*oauth.Client, error) {
	tenant := e.plugin.OpenTenant()
	if tenant == nil {
		return &e.plugin.Client, nil
	}
	return e.plugin.ForTenant(e.param(tenant.Name))
}

// endpoint returns what talks to a plugin's provider. Its token requests are counted in the metrics.
func (s *server) endpoint(plugin *plugins.Plugin) *oauth.Endpoint {
	return &oauth.Endpoint{
		HTTP:    s.providers,
		Observe: func(call oauth.Call) { s.metrics.tokenRequest(plugin.Slug, call) },
	}
}

// handler serves all requests but PocketBase's own. PocketBase's router would cost more than everything else,
// and its patterns do not allow /{plugin}/redirect beside its own routes.
func (s *server) handler(pocketbase http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent := r.URL.EscapedPath()
		cleanPath(r.URL)
		first, _, _ := strings.Cut(r.URL.Path[1:], "/")
		// A proxy in front may keep people from /_/ and /api/, and knows neither as //_/, nor as /%5F/.
		isPlain := sent == "/"+first || strings.HasPrefix(sent, "/"+first+"/")
		r, end := s.connections.begin(r)
		defer end()
		switch {
		case (first == "api" || first == "_") && (!isPlain || isFolder(r.URL.Path)):
			s.serve(w, r) // there is no such address
		case r.URL.Path == "/_":
			s.limitBody(w, r)
			// Relative, since a proxy may take a path away that the browser knows. PocketBase's is not.
			w.Header().Set("Location", "_/")
			w.WriteHeader(http.StatusMovedPermanently)
		case first == "api" || first == "_":
			s.limitBody(w, r) // PocketBase answers to preflights before anything of ours is asked
			pocketbase.ServeHTTP(w, r)
		default:
			s.serve(w, r)
		}
	})
}

// cleanPath makes //poll mean /poll. ServeMux would redirect there, in HTML, without CORS, and with the query
// in it.
func cleanPath(u *url.URL) {
	clean := path.Clean("/" + u.Path)
	if strings.HasSuffix(u.Path, "/") && clean != "/" {
		clean += "/"
	}
	if u.Path != clean {
		u.Path, u.RawPath = clean, ""
	}
}

// serve answers a request that is not for PocketBase.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	e := &request{Response: w, Request: r, plugin: s.config.Plugin}
	s.answer(e)
	if status, page := e.status, e.page; page != nil {
		sendPage(w, r, status, page)
	}
}

// answer finds the plugin and the route, and answers in the route's format, whatever happens. A page is only
// rendered.
func (s *server) answer(e *request) {
	r := e.Request
	var found route
	var err error
	defer func() {
		switch recovered := recover(); recovered {
		case nil:
		case http.ErrAbortHandler: // cuts the connection
			panic(recovered)
		default:
			s.writeError(e, found.format, internalError.because(panicCause(recovered)))
		}
	}()
	found, err = s.match(e)
	e.route = found.path
	s.setHeaders(e, found)
	var bodyErr error
	if !found.streams {
		bodyErr = s.readBody(e)
	}
	switch {
	case bodyErr != nil:
		err = bodyErr
	case e.isPreflight(): // of an unknown address, too: the page is to read the error behind it
		err = nil
		e.Response.WriteHeader(http.StatusNoContent)
	case err != nil:
	case r.Method == http.MethodOptions && !found.streams:
		e.Response.WriteHeader(http.StatusNoContent)
	case e.plugin == nil && !found.public:
		err = errNoPlugin
	case e.plugin != nil && e.plugin.State != plugins.Available && !found.public:
		err = unavailableError(e.plugin)
	default:
		err = found.handle(e)
	}
	writeError := func() { s.writeError(e, found.format, err) }
	switch {
	case err == nil:
	case found.streams:
		s.refuseBody(e, writeError)
	default:
		writeError()
	}
}

// sweep sweeps the sessions, and counts that in the metrics.
func (s *server) sweep() {
	began := time.Now()
	var swept session.Swept
	// Without a majority nothing can be swept, and no admin should wait for that. Where there is no room, a
	// sweep makes some.
	err := s.membership.check()
	if err == nil || errors.Is(err, cluster.ErrFull) {
		swept, err = s.sweepSessions(context.Background())
		err = errors.Join(err, s.membership.sweep())
	}
	if s.membership != nil && sqlite.IsFull(err) {
		s.makeRoom() // for the copy
	}
	s.metrics.sweep(swept, time.Since(began), err)
	if err != nil {
		s.log.Error("the sweep failed; it runs again in a minute", "cause", err.Error())
	}
	s.sweepLog()
}

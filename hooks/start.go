package hooks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/dbutils"
	"github.com/pocketbase/pocketbase/tools/hook"

	"plugin-oauth/hooks/replica"
)

// start prepares the app, makes it listen, and then puts the server in front of PocketBase's own routes.
func (s *server) start(e *core.ServeEvent, certificate *certificateFiles) error {
	e.InstallerFunc = nil // PocketBase's installer prints a superuser token
	for _, prepare := range []func(*core.ServeEvent) error{
		s.bindDisk,
		s.warnOfPowerCuts,
		s.warnOfUnusablePlugins,
		s.ignoreCaseOfEmails,
		s.createSuperuser,
		s.trustProxies,
		s.bindHealth,
		s.refuseRestore,
		s.scheduleSweep,
		logSuperusersOnly,
		redactQueries,
		disableSQLConsole,
		s.closeToStrangers,
		s.limitRequests,
		s.bindDashboard,
		s.bindSessions,
		s.bindShutdown,
		protectCollections,
		func(e *core.ServeEvent) error { return s.listen(e, certificate) },
	} {
		if err := prepare(e); err != nil {
			return err
		}
	}
	if err := e.Next(); err != nil {
		return err
	}
	s.hidesVisitors = s.config.hidesVisitors(listenerAddress(e))
	e.Server.Handler = s.ownHostsOnly(listenerAddress(e), s.handler(e.Server.Handler))
	if err := errors.Join(s.serveMetrics(), s.serveRedirects(e)); err != nil {
		return err
	}
	// Only once this process has its addresses: a second one, started by mistake, must not end the logins of
	// the first.
	if err := s.sessions.Resume(context.Background()); err != nil {
		return err
	}
	go s.reload(certificate, s.closing)
	go s.relieve(s.closing)
	if s.config.CheckAtStart {
		// The listener accepts connections by now; the check's request to the service itself waits until it
		// is served.
		s.checking.Go(s.checkAtStart)
	}
	return nil
}

// warnOfPowerCuts says so if the app that the service was registered with does not commit to the disk.
func (s *server) warnOfPowerCuts(*core.ServeEvent) error {
	durable, err := s.table.IsDurable(context.Background())
	if err == nil && !durable {
		s.log.Warn("a power cut may lose the latest sign-ins; open the app with sqlite.Connect")
	}
	return err
}

// warnOfUnusablePlugins says which plugins of the dashboard cannot be used. The others work.
func (s *server) warnOfUnusablePlugins(*core.ServeEvent) error {
	line, err := s.records.Unusable()
	if line != "" {
		s.log.Error(line)
	}
	return err
}

// ignoreCaseOfEmails lets an admin sign in with their address in any case, and nobody make a second admin
// with it. Those that an earlier version has made stay until one of them is deleted.
func (s *server) ignoreCaseOfEmails(e *core.ServeEvent) error {
	superusers, err := e.App.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	index, found := dbutils.FindSingleColumnUniqueIndex(superusers.Indexes, core.FieldNameEmail)
	if !found || strings.EqualFold(index.Columns[0].Collate, "NOCASE") {
		return nil
	}
	var repeats int
	query := e.App.DB().NewQuery("SELECT count(*) - count(DISTINCT email COLLATE NOCASE) FROM _superusers")
	if err := query.Row(&repeats); err != nil {
		return err
	}
	if repeats > 0 {
		s.log.Warn("there are admins whose addresses differ in nothing but capital letters. Each can sign " +
			"in with its own spelling only; delete one in the dashboard, and start again")
		return nil
	}
	superusers.RemoveIndex(index.IndexName)
	index.Columns[0].Collate = "NOCASE"
	superusers.Indexes = append(superusers.Indexes, index.Build())
	return e.App.Save(superusers)
}

// createSuperuser makes the admin of SUPERUSER_EMAIL, unless there is one with that address in any case. An
// existing password is left alone.
func (s *server) createSuperuser(e *core.ServeEvent) error {
	if s.config.SuperuserEmail == "" {
		return nil
	}
	sameEmail := dbx.NewExp("email = {:email} COLLATE NOCASE", dbx.Params{"email": s.config.SuperuserEmail})
	if admins, err := e.App.CountRecords(core.CollectionNameSuperusers, sameEmail); err != nil || admins > 0 {
		return err
	}
	collection, err := e.App.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	superuser := core.NewRecord(collection)
	superuser.SetEmail(s.config.SuperuserEmail)
	superuser.SetPassword(s.config.SuperuserPassword)
	err = e.App.Save(superuser)
	if replica.IsTaken(err) {
		return nil // another machine has just made it, and it is on its way here
	}
	if err != nil {
		return fmt.Errorf("the admin of SUPERUSER_EMAIL cannot be made: %w", err)
	}
	return nil
}

// trustProxies makes PocketBase's own RealIP believe the configured headers, and no others that a setting in
// the database may name.
func (s *server) trustProxies(e *core.ServeEvent) error {
	trust := func() {
		proxy := &e.App.Settings().TrustedProxy
		proxy.Headers, proxy.UseLeftmostIP = slices.Clone(s.config.TrustedProxyHeaders), false
	}
	trust()
	e.App.OnSettingsReload().BindFunc(func(reload *core.SettingsReloadEvent) error {
		err := reload.Next()
		trust()
		return err
	})
	return nil
}

func (s *server) scheduleSweep(e *core.ServeEvent) error {
	return e.App.Cron().Add("sweepSessions", "* * * * *", s.sweep)
}

// bindSessions ends the login of a session that an admin deletes.
func (s *server) bindSessions(e *core.ServeEvent) error {
	if s.membership == nil {
		e.App.OnRecordDelete("sessions").BindFunc(s.table.RecordDeleted)
		return nil
	}
	e.App.OnRecordDelete("sessions").BindFunc(s.membership.sessions.RecordDeleted)
	return nil
}

// PocketBase shuts the listener down at the priority -9999 of its hook OnTerminate.
const beforeShutdown, afterShutdown = -10000, -9998

// bindShutdown lets the server finish before PocketBase shuts the listener down.
func (s *server) bindShutdown(e *core.ServeEvent) error {
	e.App.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		Priority: beforeShutdown,
		Func: func(e *core.TerminateEvent) error {
			if s.config.handed != nil {
				_ = s.config.handed.Stop() // whoever comes now waits for the next process
			}
			if !e.IsRestart { // then the process stays
				notifySystemd(stateStopping)
			}
			s.membership.handOver()
			s.finishing.Do(s.finish) // a restart that fails comes here twice
			if s.config.handed != nil {
				s.connections.drain(drainTimeout)
			}
			return e.Next()
		},
	})
	return nil
}

// listen makes the server's listener, unless it has one, and counts its connections. With a certificate it
// speaks HTTPS.
func (s *server) listen(e *core.ServeEvent, certificate *certificateFiles) error {
	if e.Listener == nil {
		listener, err := s.config.listen(e.Server.Addr)
		if err != nil {
			return err
		}
		if taken := takenLoopback(listener); taken != "" && s.config.handed == nil {
			warnOf(s.log, warning("Another program listens at "+taken+".",
				"A browser on this machine may take it for this service at localhost.",
				"End that program, or choose another port with --http."))
		}
		e.Listener = listener
	}
	memory := plainMemory
	if certificate != nil || s.config.speaksTLS {
		memory = tlsMemory
	}
	e.Listener = s.connections.listen(s.membership.watch(e.Listener), memory)
	e.Server.ConnContext = s.connections.connContext
	e.Server.TLSConfig.GetConfigForClient = s.connections.greet
	if domains := s.config.certificateDomains(e.Server.Addr); len(domains) > 0 {
		waiting := newHandshakes(domains, e.Server.TLSConfig.GetCertificate)
		e.Server.TLSConfig.GetCertificate = waiting.getCertificate
	}
	if certificate == nil {
		return nil
	}
	e.Server.TLSConfig.GetCertificate = certificate.get
	e.Server.TLSConfig.NextProtos = []string{"http/1.1"}
	e.Listener = tls.NewListener(e.Listener, e.Server.TLSConfig)
	return nil
}

// certificateDomains returns the domains that PocketBase gets certificates for: those of the command line, or
// the host of --https.
func (c Config) certificateDomains(address string) []string {
	if len(c.domains) > 0 || !c.speaksTLS {
		return c.domains
	}
	host, _, _ := net.SplitHostPort(address)
	return []string{host}
}

// listen returns the listener of the service: sockets that were handed over, or else one at an address.
func (c Config) listen(address string) (net.Listener, error) {
	if c.handed != nil {
		return c.handed, nil
	}
	if path, isSocket := strings.CutPrefix(address, socketPrefix); isSocket {
		return listenAtSocket(path)
	}
	return listen(address, c.bothLoopbacks)
}

// limitRequests bounds what a request may take: 32 KB in 64 headers that arrive within 10 seconds, and a
// minute until its answer is read. PocketBase's server would take 1 MB in 500 and a minute, and then 5
// minutes.
//
// It speaks HTTP/1 only. One connection with HTTP/2 can take as much memory as hundreds: its requests, all
// the headers of each, and answers that nobody reads. Where HTTP/2 counts, a proxy stands in front, and
// speaks it with browsers.
func (s *server) limitRequests(e *core.ServeEvent) error {
	e.Server.MaxHeaderBytes, e.Server.MaxHeaderValueCount = maxHeaders, maxHeaderValues
	e.Server.ReadHeaderTimeout = s.config.timing.headers
	s.adminTimeout, e.Server.WriteTimeout = e.Server.WriteTimeout, s.config.timing.answer
	e.Server.IdleTimeout = s.config.timing.idle
	e.Server.Protocols = &http.Protocols{}
	e.Server.Protocols.SetHTTP1(true)
	return nil
}

// serveRedirects redirects plain HTTP to HTTPS until the service ends, and answers the certificate
// authority's challenges (RFC 8555 section 8.3). PocketBase's own server for that has no limits.
func (s *server) serveRedirects(e *core.ServeEvent) error {
	if s.config.redirectAddress == "" {
		return nil
	}
	listener, err := listen(s.config.redirectAddress, s.config.bothLoopbacks)
	if err != nil {
		return err
	}
	timeout := s.config.timing.headers
	redirects := &http.Server{
		Handler:             s.redirectToHTTPS(e.CertManager.HTTPHandler(nil)),
		ConnContext:         s.connections.connContext,
		ErrorLog:            e.Server.ErrorLog,
		MaxHeaderBytes:      maxHeaders,
		MaxHeaderValueCount: maxHeaderValues,
		ReadTimeout:         timeout,
		WriteTimeout:        timeout,
		IdleTimeout:         timeout,
	}
	go redirects.Serve(s.connections.listen(listener, plainMemory)) // until it is closed
	go func() {
		<-s.closing
		redirects.Close()
	}()
	return nil
}

// redirectToHTTPS answers requests with plain HTTP, and has the challenges answered. The answers of
// [http.Redirect] have a page that repeats the address, in which each & takes five bytes.
func (s *server) redirectToHTTPS(challenges http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, end := s.connections.begin(r)
		defer end()
		switch {
		case challengePath.MatchString(r.URL.Path) && len(r.Host) <= maxHost:
			challenges.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			http.Error(w, "Use HTTPS", http.StatusBadRequest)
		default:
			sendToHTTPS(w, r)
		}
	})
}

// challengePath is where a certificate authority looks for what a token stands for (RFC 8555 section 8.3).
var challengePath = regexp.MustCompile(`^/\.well-known/acme-challenge/[A-Za-z0-9_-]{1,200}$`)

// maxHost is how long a domain may be, in bytes, with a port.
const maxHost = 260

// sendToHTTPS redirects a request to the same address with HTTPS. The address counts with its connection, as
// the request does, until it has been taken.
func sendToHTTPS(w http.ResponseWriter, r *http.Request) {
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") {
		target = "/"
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = net.JoinHostPort(name, "443")
	}
	location := "https://" + host + target
	countMore(r, len(location)>>10)
	w.Header().Set("Location", location)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusFound)
	_ = http.NewResponseController(w).Flush() // it fails only if the client has left
}

// maxHeaders makes net/http refuse headers of more than 32 KB: it adds 4 KB.
const maxHeaders = 28 << 10

// maxHeaderValues bounds how many headers a request may have. Browsers and the proxies on the way send some
// dozens. Each takes 200 bytes beside its text, so 500 would take more than the 32 KB of the text.
const maxHeaderValues = 64

// drainTimeout bounds how long a process that hands its sockets back waits for the last of those whom it has
// accepted. PocketBase itself would wait for a second.
const drainTimeout = 5 * time.Second

// finish answers the waiting polls, lets no new token request begin, and waits for those under way.
func (s *server) finish() {
	close(s.closing)
	finished := make(chan struct{})
	go func() {
		s.exchanging.Lock()
		s.checking.Wait()
		s.alerts.close()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(s.config.timing.provider + finishTime):
	}
}

// finishTime is how much longer the exchange of a code may take than the request to the provider.
const finishTime = 5 * time.Second

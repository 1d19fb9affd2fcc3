package hooks

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// start prepares the app, makes it listen, and then puts the server in front of PocketBase's own routes.
func (s *server) start(e *core.ServeEvent, certificate *tls.Certificate) error {
	e.InstallerFunc = nil // PocketBase's installer prints a superuser token
	for _, prepare := range []func(*core.ServeEvent) error{
		s.bindDisk,
		s.warnOfPowerCuts,
		s.warnOfUnusablePlugins,
		s.createSuperuser,
		s.trustProxies,
		s.bindHealth,
		s.scheduleSweep,
		logSuperusersOnly,
		redactQueries,
		disableSQLConsole,
		s.closeToStrangers,
		s.limitHeaders,
		s.bindDashboard,
		s.bindSessions,
		s.bindShutdown,
		protectCollections,
		func(e *core.ServeEvent) error { return listenTLS(e, certificate) },
	} {
		if err := prepare(e); err != nil {
			return err
		}
	}
	if err := e.Next(); err != nil {
		return err
	}
	e.Server.Handler = s.ownHostsOnly(listenerAddress(e), s.handler(e.Server.Handler))
	if err := s.serveMetrics(); err != nil {
		return err
	}
	// Only once this process has its addresses: a second one, started by mistake, must not end the logins of
	// the first.
	if err := s.sessions.Resume(context.Background()); err != nil {
		return err
	}
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

// createSuperuser makes the admin of SUPERUSER_EMAIL, unless there is one. An existing password is left
// alone.
func (s *server) createSuperuser(e *core.ServeEvent) error {
	if s.config.SuperuserEmail == "" {
		return nil
	}
	_, err := e.App.FindAuthRecordByEmail(core.CollectionNameSuperusers, s.config.SuperuserEmail)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	collection, err := e.App.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	superuser := core.NewRecord(collection)
	superuser.SetEmail(s.config.SuperuserEmail)
	superuser.SetPassword(s.config.SuperuserPassword)
	if err := e.App.Save(superuser); err != nil {
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
	e.App.OnRecordDelete("sessions").BindFunc(s.table.RecordDeleted)
	return nil
}

// bindShutdown lets the server finish before PocketBase shuts the listener down, which it does at the
// priority -9999.
func (s *server) bindShutdown(e *core.ServeEvent) error {
	e.App.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		Priority: -10000,
		Func: func(e *core.TerminateEvent) error {
			s.finishing.Do(s.finish) // a restart that fails comes here twice
			return e.Next()
		},
	})
	return nil
}

// listenTLS makes the server speak HTTPS with a certificate of its own, on the address that it would listen
// on anyway. Without one, nothing changes.
func listenTLS(e *core.ServeEvent, certificate *tls.Certificate) error {
	if certificate == nil {
		return nil
	}
	if e.Listener == nil {
		listener, err := net.Listen("tcp", e.Server.Addr)
		if err != nil {
			return err
		}
		e.Listener = listener
	}
	e.Server.TLSConfig.GetCertificate = nil
	e.Server.TLSConfig.Certificates = []tls.Certificate{*certificate}
	e.Server.TLSConfig.NextProtos = []string{"h2", "http/1.1"}
	e.Listener = tls.NewListener(e.Listener, e.Server.TLSConfig)
	return nil
}

// limitHeaders bounds the headers of a request: 32 KB, which may take 10 seconds to arrive. PocketBase's
// server would take 1 MB, and wait for a minute.
func (s *server) limitHeaders(e *core.ServeEvent) error {
	timeout := s.config.timing.headers
	e.Server.MaxHeaderBytes, e.Server.ReadHeaderTimeout = maxHeaders, timeout
	// HTTP/2 has no such timeout, but a client in the middle of its headers cannot answer a ping.
	e.Server.HTTP2 = &http.HTTP2Config{SendPingTimeout: timeout / 2, PingTimeout: timeout / 2}
	return nil
}

// maxHeaders makes net/http refuse headers of more than 32 KB: it adds 4 KB.
const maxHeaders = 28 << 10

// finish answers the waiting polls, lets no new token request begin, and waits for those under way.
func (s *server) finish() {
	close(s.closing)
	finished := make(chan struct{})
	go func() {
		s.exchanging.Lock()
		s.checking.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(s.config.timing.provider + 5*time.Second):
	}
}

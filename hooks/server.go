package hooks

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/pocketbase/pocketbase/core"
)

// createSuperuser makes the admin of SUPERUSER_EMAIL, unless there is one. An existing password is left alone.
func createSuperuser(app core.App, config Config) error {
	if config.SuperuserEmail == "" {
		return nil
	}
	_, err := app.FindAuthRecordByEmail(core.CollectionNameSuperusers, config.SuperuserEmail)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	collection, err := app.FindCollectionByNameOrId(core.CollectionNameSuperusers)
	if err != nil {
		return err
	}
	superuser := core.NewRecord(collection)
	superuser.SetEmail(config.SuperuserEmail)
	superuser.SetPassword(config.SuperuserPassword)
	if err := app.Save(superuser); err != nil {
		return fmt.Errorf("the admin of SUPERUSER_EMAIL cannot be made: %w", err)
	}
	return nil
}

// trustProxies makes PocketBase's own RealIP believe the configured headers, and no others that a setting in the database
// may name.
func trustProxies(app core.App, config Config) {
	proxy := &app.Settings().TrustedProxy
	proxy.Headers, proxy.UseLeftmostIP = slices.Clone(config.TrustedProxyHeaders), false
}

// listenTLS makes the server speak HTTPS with an own certificate, on the address that it would listen on anyway.
func listenTLS(e *core.ServeEvent, certificate *tls.Certificate) error {
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

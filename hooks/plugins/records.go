package plugins

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pocketbase/dbx"
	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"

	"plugin-oauth/hooks/oauth"
)

// Records are the records of the collection plugins. They are read once, and each of them again after it is
// saved. Records is safe for concurrent use.
type Records struct {
	app      core.App
	defaults Defaults
	key      encryptionKey

	mu     sync.Mutex
	loaded atomic.Pointer[map[string]*Plugin] // by their slugs; nil: not read yet
}

// NewRecords returns the records of an app, whose collections need not exist yet.
func NewRecords(app core.App, defaults Defaults) *Records {
	return &Records{app: app, defaults: defaults, key: encryptionKey(defaults.EncryptionKey)}
}

// CanSeal reports whether client secrets can be stored.
func (r *Records) CanSeal() bool { return r.key != "" }

// secretDots stand for a client secret in its record. The secret itself is in a column that is not a field of
// the collection.
const secretDots = "••••••••"

// Bind binds the records to the app: what is not valid is refused, the client secret is sealed, and a save
// takes effect with the next request.
func (r *Records) Bind() {
	r.app.OnRecordValidate("plugins").BindFunc(r.validate)
	r.app.OnRecordCreateExecute("plugins").BindFunc(r.seal)
	r.app.OnRecordUpdateExecute("plugins").BindFunc(r.seal)
	r.app.OnRecordAfterCreateSuccess("plugins").BindFunc(r.reload)
	r.app.OnRecordAfterUpdateSuccess("plugins").BindFunc(r.reload)
	r.app.OnRecordAfterDeleteSuccess("plugins").BindFunc(r.reload)
}

// Find returns the plugin of a slug, or nil if there is none.
func (r *Records) Find(slug string) (*Plugin, error) {
	bySlug, err := r.All()
	if err != nil {
		return nil, err
	}
	return bySlug[slug], nil
}

// All returns the plugins by their slugs. The map must not be changed.
func (r *Records) All() (map[string]*Plugin, error) {
	if loaded := r.loaded.Load(); loaded != nil {
		return *loaded, nil
	}
	// A save may end while the records are read. It reads its own again only when it has the lock, after they
	// were stored; without the lock it could come first, and what was read before it would stay.
	r.mu.Lock()
	defer r.mu.Unlock()
	if loaded := r.loaded.Load(); loaded != nil {
		return *loaded, nil
	}
	bySlug, err := r.read(r.app.ConcurrentDB())
	if err != nil {
		return nil, err
	}
	r.loaded.Store(&bySlug)
	return bySlug, nil
}

// ReadDatabase reads the plugins by their slugs from a database that no app has open.
func ReadDatabase(db dbx.Builder, defaults Defaults) (map[string]*Plugin, error) {
	return NewRecords(nil, defaults).read(db)
}

func (r *Records) read(db dbx.Builder) (map[string]*Plugin, error) {
	var rows []dbx.NullStringMap
	if err := db.NewQuery("SELECT * FROM plugins").All(&rows); err != nil {
		return nil, err
	}
	bySlug := make(map[string]*Plugin, len(rows))
	for _, row := range rows {
		plugin := r.open(row)
		bySlug[plugin.Slug] = plugin
	}
	return bySlug, nil
}

// open makes a plugin of a row. One that cannot be used has a state that says why.
func (r *Records) open(row dbx.NullStringMap) *Plugin {
	entered := enteredIn(row)
	plugin := entered.Complete(r.defaults)
	secret, err := entered.binding().open(r.key, sealedIn(row))
	if !plugin.IsPublic() {
		plugin.ClientSecret = secret
	}
	enabled, _ := strconv.ParseBool(row["enabled"].String)
	switch {
	case !enabled:
		plugin.State = SwitchedOff
	case err != nil && !plugin.IsPublic():
		plugin.State = SecretUnreadable
	default:
		// What was valid when it was saved may depend on the environment, or on a preset that is gone.
		if errs := plugin.Validate(); len(errs) > 0 {
			plugin.State, plugin.Invalid = Misconfigured, errs[0]
		}
	}
	return &plugin
}

// enteredIn reads what the admin entered, without defaults and without the client secret.
func enteredIn(row dbx.NullStringMap) Plugin {
	plugin := New(func(field string) string { return row[field].String })
	plugin.RecordID = row["id"].String
	return plugin
}

func sealedIn(row dbx.NullStringMap) []byte { return []byte(row["sealedSecret"].String) }

// reload reads a record again after it was saved or deleted.
func (r *Records) reload(e *core.RecordEvent) error {
	r.Reload(e.Record.Id)
	return e.Next()
}

// Reload reads records again that were stored or deleted in another way than by a save of the app. The others
// stay as they are: reading 2,000 records takes as long as 100 requests.
func (r *Records) Reload(ids ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		r.loaded.Store(r.withReloaded(id))
	}
}

// withReloaded returns the loaded plugins with one of them read again. Nil means that all of them must be
// read. The caller holds the lock, so of two saves the later one decides.
func (r *Records) withReloaded(id string) *map[string]*Plugin {
	loaded := r.loaded.Load()
	if loaded == nil {
		return nil
	}
	var row dbx.NullStringMap
	query := r.app.ConcurrentDB().NewQuery("SELECT * FROM plugins WHERE id = {:id}").
		Bind(dbx.Params{"id": id})
	err := query.One(&row)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	bySlug := maps.Clone(*loaded)
	maps.DeleteFunc(bySlug, func(_ string, plugin *Plugin) bool { return plugin.RecordID == id })
	if err == nil {
		plugin := r.open(row)
		bySlug[plugin.Slug] = plugin
	}
	return &bySlug
}

// validate reports at each field of a record what is wrong, and how to fix it.
func (r *Records) validate(e *core.RecordEvent) error {
	for _, field := range e.Record.Collection().Fields {
		if field.Type() == core.FieldTypeText {
			e.Record.Set(field.GetName(), strings.TrimSpace(e.Record.GetString(field.GetName())))
		}
	}
	// The dots, or nothing, leave the secret as it is. A public client has none.
	if e.Record.GetString("clientSecret") == "" && !e.Record.IsNew() {
		e.Record.Set("clientSecret", secretDots)
	}
	plugin := New(e.Record.GetString).Complete(r.defaults)
	errs := oauth.FieldErrors(plugin.Validate())
	if e.Record.GetString("clientSecret") == secretDots {
		// The secret that they stand for was valid when it was entered.
		isOfSecret := func(err oauth.FieldError) bool { return err.Field == "clientSecret" }
		errs = slices.DeleteFunc(errs, isOfSecret)
	}
	// It keeps no plugin that has been saved from working, nor from being switched off: what a preset knows
	// may be incomplete.
	saved := New(e.Record.Original().GetString).Complete(r.defaults)
	if fix := plugin.FixOfScope(); e.Record.IsNew() || fix != saved.FixOfScope() {
		errs.Check("scope", fix == "", fix)
	}
	if plugin.Slug == "" {
		errs = append(errs, oauth.FieldError{Field: "slug", Fix: "must be set; it is the last part of the " +
			"plugin's address"})
	}
	if fix := r.fixOfSecret(e.Record); fix != "" && !plugin.IsPublic() {
		errs = append(errs, oauth.FieldError{Field: "clientSecret", Fix: fix})
	}
	if len(errs) == 0 {
		return e.Next()
	}
	return fieldErrors(errs)
}

// fixOfSecret says what is wrong with the client secret that was entered, or returns "".
func (r *Records) fixOfSecret(record *core.Record) string {
	switch secret := record.GetString("clientSecret"); {
	case secret == secretDots && record.IsNew():
		return "must be entered again; a copy of a plugin has none"
	case secret == secretDots || secret == "":
		return ""
	case strings.Contains(secret, "•"):
		return "must be replaced as a whole, the dots included"
	case r.key == "":
		return "cannot be stored: the service runs without ENCRYPTION_KEY. Set it in the environment or in " +
			".env and start again; " + HowToMakeKey
	default:
		return ""
	}
}

// fieldErrors returns the error that PocketBase shows at the fields of the form.
func fieldErrors(errs []oauth.FieldError) error {
	all := validation.Errors{}
	for _, err := range errs {
		all[err.Field] = validation.NewError("validation_invalid_"+err.Field, err.Fix)
	}
	return all
}

// seal stores a new client secret sealed, and dots in its place, whichever way the record is saved.
func (r *Records) seal(e *core.RecordEvent) error {
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		sealed, err := r.sealedSecret(tx, e.Record)
		if err != nil {
			return err
		}
		e.Record.Set("clientSecret", secretDots)
		if r.isPublic(e.Record) {
			e.Record.Set("clientSecret", "")
		}
		if err := e.Next(); err != nil {
			return err
		}
		return storeSecret(tx, e.Record.Id, sealed)
	})
}

func (r *Records) isPublic(record *core.Record) bool {
	plugin := New(record.GetString).Complete(r.defaults)
	return plugin.IsPublic()
}

func storeSecret(tx core.App, recordID string, sealed []byte) error {
	_, err := tx.DB().NewQuery("UPDATE plugins SET sealedSecret = {:sealed} WHERE id = {:id}").
		Bind(dbx.Params{"sealed": sealed, "id": recordID}).Execute()
	return err
}

// sealedSecret returns what is to be stored as a record's client secret. One that is kept is compared with
// the row as it is now, since the record may have been loaded before another save. It is kept only for the
// hosts that it was sent to before: otherwise an admin who cannot read a secret could have it sent to a
// server of their own. A public client's is erased.
func (r *Records) sealedSecret(tx core.App, record *core.Record) ([]byte, error) {
	entered := New(record.GetString)
	entered.RecordID = record.Id
	if r.isPublic(record) {
		return nil, nil
	}
	if entered.ClientSecret != secretDots && entered.ClientSecret != "" {
		return entered.binding().seal(r.key, entered.ClientSecret)
	}
	refuse := func(why string) ([]byte, error) {
		fix := "must be entered again, since " + why
		return nil, fieldErrors([]oauth.FieldError{{Field: "clientSecret", Fix: fix}})
	}
	var row dbx.NullStringMap
	query := tx.DB().NewQuery("SELECT * FROM plugins WHERE id = {:id}").Bind(dbx.Params{"id": record.Id})
	if err := query.One(&row); err != nil {
		return refuse("there is none yet")
	}
	before := enteredIn(row)
	if completed := before.Complete(r.defaults); completed.IsPublic() {
		return refuse("a public client has none stored")
	}
	if host := newSecretHost(before.Complete(r.defaults), entered.Complete(r.defaults)); host != "" {
		return refuse("it would now be sent to " + host)
	}
	secret, err := before.binding().open(r.key, sealedIn(row))
	if err == nil {
		return entered.binding().seal(r.key, secret)
	}
	if record.GetBool("enabled") || before.destination() != entered.destination() {
		return refuse("it does not open with this ENCRYPTION_KEY. Or start the service with the right one")
	}
	return sealedIn(row), nil
}

// newSecretHost returns a host that is sent the client secret only after a change, or "".
func newSecretHost(before, after Plugin) string {
	known := before.SecretHosts()
	for _, host := range after.SecretHosts() {
		if !slices.Contains(known, host) {
			return host
		}
	}
	return ""
}

// Unusable says in one line which plugins cannot be used and why, or returns "". Those that are switched off
// are left out.
func (r *Records) Unusable() (string, error) {
	bySlug, err := r.All()
	if err != nil {
		return "", err
	}
	var noSecret, lines []string
	for _, slug := range slices.Sorted(maps.Keys(bySlug)) {
		switch plugin := bySlug[slug]; plugin.State {
		case SecretUnreadable:
			noSecret = append(noSecret, slug)
		case Misconfigured:
			lines = append(lines, fmt.Sprintf("%s cannot be used: %s", slug, plugin.Reason()))
		}
	}
	if len(noSecret) > 0 {
		why := "is not the one that they were saved under"
		if r.key == "" {
			why = "is not set"
		}
		lines = append(lines, fmt.Sprintf("ENCRYPTION_KEY %s, so the client secrets of these plugins "+
			"cannot be read: %s",
			why, strings.Join(noSecret, ", ")))
	}
	return strings.Join(lines, " "), nil
}

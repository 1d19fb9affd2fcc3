package hooks

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pocketbase/dbx"
	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"
)

// plugins are the records of the collection plugins, by their slugs. They are read once, and again after a save.
type plugins struct {
	app    core.App
	config Config

	mu     sync.Mutex
	loaded atomic.Pointer[map[string]*Plugin] // nil: to be read
}

// secretDots stand for a client secret in its record. The secret itself is in a column that the collection does not know.
const secretDots = "••••••••"

var (
	errSwitchedOff = &problem{
		Status:      http.StatusNotFound,
		Code:        "not_found",
		Description: "This plugin is switched off. Its admin can enable it in the dashboard.",
	}
	errNoSecret = &problem{
		Status:      http.StatusServiceUnavailable,
		Code:        "temporarily_unavailable",
		Description: "The plugin's client secret cannot be read. The admin must start the service with the ENCRYPTION_KEY that it was saved under, or enter the secret again.",
	}
)

// bind refuses what is not valid, seals the client secret, and makes a save take effect with the next request.
func (p *plugins) bind() {
	p.app.OnRecordValidate("plugins").BindFunc(p.validate)
	p.app.OnRecordCreateExecute("plugins").BindFunc(p.seal)
	p.app.OnRecordUpdateExecute("plugins").BindFunc(p.seal)
	p.app.OnRecordAfterCreateSuccess("plugins").BindFunc(p.forget)
	p.app.OnRecordAfterUpdateSuccess("plugins").BindFunc(p.forget)
	p.app.OnRecordAfterDeleteSuccess("plugins").BindFunc(p.forget)
}

// find returns the plugin of a slug, or nil if there is none.
func (p *plugins) find(slug string) (*Plugin, error) {
	bySlug, err := p.all()
	if err != nil {
		return nil, err
	}
	return bySlug[slug], nil
}

func (p *plugins) all() (map[string]*Plugin, error) {
	if loaded := p.loaded.Load(); loaded != nil {
		return *loaded, nil
	}
	// A save may end while the records are read. It forgets them only when it gets the lock, after they were stored;
	// without the lock it could forget first, and what was read before it would stay.
	p.mu.Lock()
	defer p.mu.Unlock()
	if loaded := p.loaded.Load(); loaded != nil {
		return *loaded, nil
	}
	bySlug, err := p.read(p.app.ConcurrentDB())
	if err != nil {
		return nil, err
	}
	p.loaded.Store(&bySlug)
	return bySlug, nil
}

// read opens the plugins of a database.
func (p *plugins) read(db dbx.Builder) (map[string]*Plugin, error) {
	var rows []dbx.NullStringMap
	if err := db.NewQuery("SELECT * FROM plugins").All(&rows); err != nil {
		return nil, err
	}
	bySlug := make(map[string]*Plugin, len(rows))
	for _, row := range rows {
		plugin := p.open(row)
		bySlug[plugin.Slug] = plugin
	}
	return bySlug, nil
}

// open makes a plugin of a row. One that cannot be used is closed, with the reason.
func (p *plugins) open(row dbx.NullStringMap) *Plugin {
	entered := pluginOfRow(row)
	plugin := entered.complete(p.config)
	secret, err := openSecret(p.config.EncryptionKey, plugin.id, entered.destination(), []byte(row["sealedSecret"].String))
	plugin.ClientSecret = secret
	enabled, _ := strconv.ParseBool(row["enabled"].String)
	switch {
	case !enabled:
		plugin.closed = errSwitchedOff
	case err != nil:
		plugin.closed = errNoSecret
	default:
		// What was valid when it was saved may depend on the environment, or on a preset that is gone.
		if problems := plugin.validate(); len(problems) > 0 {
			plugin.closed = &problem{
				Status:      http.StatusServiceUnavailable,
				Code:        "temporarily_unavailable",
				Description: fmt.Sprintf("The plugin's field %s %s.", problems[0].field, problems[0].mend),
			}
		}
	}
	return &plugin
}

// pluginOfRow reads what the admin entered, without defaults and without the client secret.
func pluginOfRow(row dbx.NullStringMap) Plugin {
	plugin := newPlugin(func(field string) string { return row[field].String })
	plugin.id = row["id"].String
	return plugin
}

// destination is where the admin has the client secret sent: to a provider that is known, or to hosts of his own. A secret is
// sealed to it. It holds what is entered, so that a preset may change with a new version.
func (p *Plugin) destination() string {
	parts := []string{p.Provider, p.Tenant}
	for _, endpoint := range []string{p.TokenEndpoint, p.RevokeEndpoint} {
		parts = append(parts, hostOf(endpoint))
	}
	return strings.Join(parts, "\n")
}

// forget makes the next request read the records again.
func (p *plugins) forget(e *core.RecordEvent) error {
	p.mu.Lock()
	p.loaded.Store(nil)
	p.mu.Unlock()
	return e.Next()
}

// validate reports at each field of a record what is wrong, and the mend.
func (p *plugins) validate(e *core.RecordEvent) error {
	for _, field := range e.Record.Collection().Fields {
		if field.Type() == core.FieldTypeText {
			e.Record.Set(field.GetName(), strings.TrimSpace(e.Record.GetString(field.GetName())))
		}
	}
	// The dots, or nothing, leave the secret as it is.
	secret, isNew := e.Record.GetString("clientSecret"), e.Record.IsNew()
	if secret == "" && !isNew {
		secret = secretDots
	}
	e.Record.Set("clientSecret", secret)

	plugin := newPlugin(e.Record.GetString).complete(p.config)
	problems := plugin.validate()
	if plugin.Slug == "" {
		problems = append(problems, invalid{"slug", "must be set; it is the last part of the plugin's address"})
	}
	switch {
	case secret == secretDots && isNew:
		problems = append(problems, invalid{"clientSecret", "must be entered again; a copy of a plugin has none"})
	case secret == secretDots || secret == "":
	case strings.Contains(secret, "•"):
		problems = append(problems, invalid{"clientSecret", "must be replaced as a whole, the dots included"})
	case p.config.EncryptionKey == "":
		problems = append(problems, invalid{"clientSecret", "cannot be stored: the service runs without ENCRYPTION_KEY. Set it in the environment or in .env and start again; " + howToMakeKey})
	}
	if len(problems) == 0 {
		return e.Next()
	}
	return atFields(problems)
}

// atFields is what PocketBase shows at the fields of the form.
func atFields(problems []invalid) error {
	errors := validation.Errors{}
	for _, problem := range problems {
		errors[problem.field] = validation.NewError("validation_invalid_"+problem.field, problem.mend)
	}
	return errors
}

// seal stores a new client secret sealed, and dots in its place, whichever way the record is saved.
func (p *plugins) seal(e *core.RecordEvent) error {
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		sealed, err := p.sealed(tx, e.Record)
		if err != nil {
			return err
		}
		e.Record.Set("clientSecret", secretDots)
		if err := e.Next(); err != nil {
			return err
		}
		return storeSecret(tx, e.Record.Id, sealed)
	})
}

func storeSecret(tx core.App, recordID string, sealed []byte) error {
	_, err := tx.DB().NewQuery("UPDATE plugins SET sealedSecret = {:sealed} WHERE id = {:id}").
		Bind(dbx.Params{"sealed": sealed, "id": recordID}).Execute()
	return err
}

// sealed returns what is to be stored as a record's client secret. One that is kept is compared with the row as it is now,
// since the record may have been loaded before another save. It is kept only for the hosts that it was sent to before:
// otherwise an admin who cannot read a secret could have it sent to a server of his own.
func (p *plugins) sealed(tx core.App, record *core.Record) ([]byte, error) {
	entered := newPlugin(record.GetString)
	if entered.ClientSecret != secretDots && entered.ClientSecret != "" {
		return sealSecret(p.config.EncryptionKey, record.Id, entered.destination(), entered.ClientSecret)
	}
	refuse := func(why string) ([]byte, error) {
		return nil, atFields([]invalid{{"clientSecret", "must be entered again, since " + why}})
	}
	var row dbx.NullStringMap
	if err := tx.DB().NewQuery("SELECT * FROM plugins WHERE id = {:id}").Bind(dbx.Params{"id": record.Id}).One(&row); err != nil {
		return refuse("there is none yet")
	}
	before, sealed := pluginOfRow(row), []byte(row["sealedSecret"].String)
	after := entered.complete(p.config)
	known := before.complete(p.config)
	for _, host := range after.secretHosts() {
		if !slices.Contains(known.secretHosts(), host) {
			return refuse("it would now be sent to " + host)
		}
	}
	secret, err := openSecret(p.config.EncryptionKey, record.Id, before.destination(), sealed)
	if err == nil {
		return sealSecret(p.config.EncryptionKey, record.Id, entered.destination(), secret)
	}
	if record.GetBool("enabled") || before.destination() != entered.destination() {
		return refuse("it does not open with this ENCRYPTION_KEY. Or start the service with the right one")
	}
	return sealed, nil
}

// secretHosts are the hosts that the client secret is sent to.
func (p *Plugin) secretHosts() []string {
	filled := p
	if p.Tenant != "" {
		if plugin, err := p.forTenant(""); err == nil {
			filled = plugin
		}
	}
	var hosts []string
	for _, endpoint := range []string{filled.TokenEndpoint, filled.refreshEndpoint, filled.RevokeEndpoint} {
		if host := hostOf(endpoint); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// hostOf cuts the path off an endpoint. It also does so with an address that is not valid, or has a placeholder.
func hostOf(endpoint string) string {
	scheme, rest, found := strings.Cut(endpoint, "://")
	if !found {
		return endpoint
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.ToLower(scheme + "://" + host)
}

// unusable says in one line which plugins cannot be used and why, or returns "".
func (p *plugins) unusable() (string, error) {
	bySlug, err := p.all()
	if err != nil {
		return "", err
	}
	var noSecret, lines []string
	for _, slug := range slices.Sorted(maps.Keys(bySlug)) {
		switch closed := bySlug[slug].closed; closed {
		case nil, errSwitchedOff:
		case errNoSecret:
			noSecret = append(noSecret, slug)
		default:
			lines = append(lines, fmt.Sprintf("%s cannot be used: %s", slug, closed.Description))
		}
	}
	if len(noSecret) > 0 {
		why := "is not the one that they were saved under"
		if p.config.EncryptionKey == "" {
			why = "is not set"
		}
		lines = append(lines, fmt.Sprintf("ENCRYPTION_KEY %s, so the client secrets of these plugins cannot be read: %s", why, strings.Join(noSecret, ", ")))
	}
	return strings.Join(lines, " "), nil
}

// rekey seals the client secrets of the dashboard's plugins under a new key, all or none. It returns how many there are.
// It fails, naming the plugins, if some open under neither key; those that are under the new key already stay as they are.
func rekey(app core.App, oldKey, newKey string) (int, error) {
	var rows []dbx.NullStringMap
	err := app.RunInTransaction(func(tx core.App) error {
		if err := tx.DB().NewQuery("SELECT * FROM plugins").All(&rows); err != nil {
			return err
		}
		var unreadable []string
		for _, row := range rows {
			plugin, sealed := pluginOfRow(row), []byte(row["sealedSecret"].String)
			secret, err := openSecret(oldKey, plugin.id, plugin.destination(), sealed)
			if err != nil {
				if _, err := openSecret(newKey, plugin.id, plugin.destination(), sealed); err != nil {
					unreadable = append(unreadable, plugin.Slug)
				}
				continue
			}
			if sealed, err = sealSecret(newKey, plugin.id, plugin.destination(), secret); err != nil {
				return err
			}
			if err := storeSecret(tx, plugin.id, sealed); err != nil {
				return err
			}
		}
		if len(unreadable) > 0 {
			return fmt.Errorf("ENCRYPTION_KEY does not open the client secrets of %s; enter them again in the dashboard, or delete these plugins. Nothing was changed", strings.Join(unreadable, ", "))
		}
		return nil
	})
	return len(rows), err
}

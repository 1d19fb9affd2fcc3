package hooks

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pocketbase/dbx"
	validation "github.com/pocketbase/ozzo-validation/v4"
	"github.com/pocketbase/pocketbase/core"
)

// plugins are the records of the collection plugins, by their slugs. Each is read once, and again after a save.
type plugins struct {
	app    core.App
	config Config

	mu     sync.Mutex
	loaded atomic.Pointer[map[string]*Plugin] // nil: to be read
}

// The dots stand for a client secret in its record. The secret itself is in a column that the collection does not know.
const (
	dot        = "•"
	secretDots = "••••••••"
)

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

// bind makes a save take effect with the next request, and refuses what is not valid.
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
	var rows []dbx.NullStringMap
	if err := p.app.ConcurrentDB().NewQuery("SELECT * FROM plugins").All(&rows); err != nil {
		return nil, err
	}
	bySlug := make(map[string]*Plugin, len(rows))
	for _, row := range rows {
		plugin := p.open(row)
		bySlug[plugin.Slug] = plugin
	}
	p.loaded.Store(&bySlug)
	return bySlug, nil
}

// open makes a plugin of a row. One that cannot be used is closed, with the reason.
func (p *plugins) open(row dbx.NullStringMap) *Plugin {
	plugin := newPlugin(func(field string) string { return row[field].String }).complete(p.config)
	secret, err := openSecret(p.config.EncryptionKey, row["id"].String, []byte(row["sealedSecret"].String))
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

// forget makes the next request read the records again.
func (p *plugins) forget(e *core.RecordEvent) error {
	p.mu.Lock()
	p.loaded.Store(nil)
	p.mu.Unlock()
	return e.Next()
}

// validate reports at each field of a record what is wrong, and the mend.
func (p *plugins) validate(e *core.RecordEvent) error {
	// The dots, or nothing, leave the secret as it is.
	secret, isNew := strings.TrimSpace(e.Record.GetString("clientSecret")), e.Record.IsNew()
	if secret == "" && !isNew {
		secret = secretDots
	}
	e.Record.Set("clientSecret", secret)

	plugin := newPlugin(e.Record.GetString).complete(p.config)
	problems := plugin.validate()
	if plugin.Slug == "" {
		problems = append(problems, invalid{"slug", "must be set; it is the first part of the plugin's addresses"})
	}
	switch {
	case secret == secretDots && isNew:
		problems = append(problems, invalid{"clientSecret", "must be entered again; a copy of a plugin has none"})
	case secret == secretDots:
		before := newPlugin(e.Record.Original().GetString).complete(p.config)
		if host := plugin.newSecretHost(&before); host != "" {
			problems = append(problems, invalid{"clientSecret", "must be entered again, since it would now be sent to " + host})
		}
		if e.Record.GetBool("enabled") && !p.opens(e.Record.Id) {
			problems = append(problems, invalid{"clientSecret", "must be entered again, since it does not open with this ENCRYPTION_KEY. Or start the service with the right one"})
		}
	case strings.Contains(secret, dot):
		problems = append(problems, invalid{"clientSecret", "must be replaced as a whole, the dots included"})
	case secret != "" && p.config.EncryptionKey == "":
		problems = append(problems, invalid{"clientSecret", "cannot be stored: the service runs without ENCRYPTION_KEY. Set it in the environment or in .env and start again; " + howToMakeKey})
	}
	if len(problems) == 0 {
		return e.Next()
	}
	atFields := validation.Errors{}
	for _, problem := range problems {
		atFields[problem.field] = validation.NewError("validation_invalid_"+problem.field, problem.mend)
	}
	return atFields
}

// opens reports whether the sealed client secret of a record can be read.
func (p *plugins) opens(recordID string) bool {
	var sealed []byte
	err := p.app.DB().NewQuery("SELECT sealedSecret FROM plugins WHERE id = {:id}").Bind(dbx.Params{"id": recordID}).Row(&sealed)
	if err == nil {
		_, err = openSecret(p.config.EncryptionKey, recordID, sealed)
	}
	return err == nil
}

// newSecretHost returns a host that the client secret is sent to now and was not sent to before. Without this check an
// admin who cannot read a secret could have it sent to a server of his own.
func (p *Plugin) newSecretHost(before *Plugin) string {
	known := before.secretHosts()
	for _, host := range p.secretHosts() {
		if !slices.Contains(known, host) {
			return host
		}
	}
	return ""
}

func (p *Plugin) secretHosts() []string {
	filled, err := p.forTenant(p.tenantExample())
	if err != nil {
		filled = p
	}
	var hosts []string
	for _, endpoint := range []string{filled.TokenEndpoint, filled.refreshEndpoint, filled.RevokeEndpoint} {
		if u, err := url.Parse(endpoint); err == nil && u.Host != "" {
			hosts = append(hosts, u.Scheme+"://"+u.Host)
		}
	}
	return hosts
}

// seal stores a new client secret sealed, and dots in its place, whichever way the record is saved.
func (p *plugins) seal(e *core.RecordEvent) error {
	secret := e.Record.GetString("clientSecret")
	if secret == secretDots || secret == "" {
		return e.Next()
	}
	sealed, err := sealSecret(p.config.EncryptionKey, e.Record.Id, secret)
	if err != nil {
		return err
	}
	e.Record.Set("clientSecret", secretDots)
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		if err := e.Next(); err != nil {
			return err
		}
		_, err := tx.DB().NewQuery("UPDATE plugins SET sealedSecret = {:sealed} WHERE id = {:id}").
			Bind(dbx.Params{"sealed": sealed, "id": e.Record.Id}).Execute()
		return err
	})
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

// Rekey seals the client secrets of the dashboard's plugins under a new key, all or none. It returns how many there are.
// It fails, naming the plugins, if some open under neither key; those that are under the new key already stay as they are.
func Rekey(app core.App, oldKey, newKey string) (int, error) {
	var rows []dbx.NullStringMap
	err := app.RunInTransaction(func(tx core.App) error {
		if err := tx.DB().NewQuery("SELECT id, slug, sealedSecret FROM plugins").All(&rows); err != nil {
			return err
		}
		var unreadable []string
		for _, row := range rows {
			id, sealed := row["id"].String, []byte(row["sealedSecret"].String)
			secret, err := openSecret(oldKey, id, sealed)
			if err != nil {
				if _, err := openSecret(newKey, id, sealed); err != nil {
					unreadable = append(unreadable, row["slug"].String)
				}
				continue
			}
			if sealed, err = sealSecret(newKey, id, secret); err != nil {
				return err
			}
			if _, err := tx.DB().NewQuery("UPDATE plugins SET sealedSecret = {:sealed} WHERE id = {:id}").
				Bind(dbx.Params{"sealed": sealed, "id": id}).Execute(); err != nil {
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

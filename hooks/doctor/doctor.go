// Package doctor checks the set-up of the service: the provider of each plugin, this machine and its data
// folder, and its clock. Whatever is wrong becomes a [Finding], in words for an admin.
//
//	findings := doctor.New(doctor.Options{Environment: plugin, BaseURL: baseURL, DataDir: dir}).Check(ctx)
//
// It asks the providers what a login asks them, with a code that they never issued, and changes nothing.
package doctor

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// Finding is one thing that is wrong, in words for an admin. It never holds a secret, the query of an
// address, or a provider's own words.
type Finding struct {
	Level Level `json:"level"`

	// Plugin is the slug of the plugin that it is about, or "/" for the one at the root. It is blank if the
	// finding is not about one plugin.
	Plugin string `json:"plugin"`

	// What says what is wrong, in one sentence.
	What string `json:"what"`

	// Why says what happens if it stays as it is.
	Why string `json:"why"`

	// Fix says what to do about it. It names the command, the variable or the field.
	Fix string `json:"fix"`
}

// Level is how bad a finding is.
type Level string

const (
	// LevelError is the level of a finding that keeps people from signing in, or puts a secret at risk.
	LevelError Level = "error"
	// LevelWarning is the level of all other findings that call for a change.
	LevelWarning Level = "warning"
	// LevelHint is the level of what may well be meant so.
	LevelHint Level = "hint"
)

const (
	// defaultTimeout bounds all the checks together.
	defaultTimeout = time.Minute

	// maxConcurrent bounds the plugins that are checked at a time.
	maxConcurrent = 4
)

const (
	whyNobody   = "Nobody can sign in."
	whyNotKnown = "Whether people can sign in is not known."
	whyEndsAway = "A login ends elsewhere, and the plugin never gets its tokens."
)

// Options are what a [Doctor] checks. A zero field stands for a default, or for nothing to check.
type Options struct {
	// Environment is the plugin that the environment configures: complete and valid. It is nil if there is
	// none.
	Environment *plugins.Plugin

	// Dashboard has the complete plugins of the dashboard by their slugs. Those that are switched off are not
	// checked.
	Dashboard map[string]*plugins.Plugin

	// PublicURL is the value of PUBLIC_URL, which may be blank.
	PublicURL string

	// BaseURL is where the world reaches the service, without a slash at the end: PUBLIC_URL, or else what
	// the redirect URI of the environment's plugin says. It is blank if that is not known.
	BaseURL string

	// HasEncryptionKey says whether ENCRYPTION_KEY is set.
	HasEncryptionKey bool

	// OldKey says what OLD_ENCRYPTION_KEY is.
	OldKey OldKey

	// TrustedProxyHeaders are the request headers that the service trusts for a client's address. Their names
	// may be in any case.
	TrustedProxyHeaders []string

	// HidesVisitors says that the service listens on this machine only, though its address is public. So
	// something stands in front of it that all visitors come through.
	HidesVisitors bool

	// OnFly says that this is a machine of Fly.io, whose proxy is in front of the service.
	OnFly bool

	// InCluster says that this is one of several machines that keep the same data.
	InCluster bool

	// DataDir is the data folder, which need not exist yet. If it is blank, it is not checked.
	DataDir string

	// Found is what the caller has found wrong. It comes first.
	Found []Finding

	// Timeout bounds all the checks together. Zero means one minute.
	Timeout time.Duration

	// RequestTimeout bounds one request, its answer included. Zero means [oauth.DefaultTimeout].
	RequestTimeout time.Duration

	// Transport sends the requests, to the providers and to the service itself. Nil means the transport of
	// [oauth.NewHTTPClient].
	Transport http.RoundTripper

	// LookUp returns the addresses of a host. Nil means those that [net.DefaultResolver] finds.
	LookUp func(ctx context.Context, host string) ([]netip.Addr, error)

	// Now is the clock of this machine. Nil means [time.Now].
	Now func() time.Time

	// Done is called for each plugin once it has been checked, from several goroutines at once. It may be
	// nil.
	Done func(*plugins.Plugin)
}

// OldKey is what a configuration has as OLD_ENCRYPTION_KEY.
type OldKey int

const (
	// OldKeyNone means that it is blank.
	OldKeyNone OldKey = iota
	// OldKeySame means that it is the key of ENCRYPTION_KEY.
	OldKeySame
	// OldKeyOther means that it is another key.
	OldKeyOther
)

// Doctor checks a set-up. It may be used concurrently, and more than once.
type Doctor struct {
	options   Options
	checked   []*plugins.Plugin // the environment's first, the others by their slugs
	freeSpace func(folder string) (bytes uint64, known bool)
	fleeting  func(folder string) string
}

// New returns the doctor of a set-up.
func New(options Options) *Doctor {
	options.Timeout = cmp.Or(options.Timeout, defaultTimeout)
	options.RequestTimeout = cmp.Or(options.RequestTimeout, oauth.DefaultTimeout)
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.LookUp == nil {
		options.LookUp = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if options.Done == nil {
		options.Done = func(*plugins.Plugin) {}
	}
	d := &Doctor{options: options, freeSpace: FreeSpace, fleeting: fleetingFileSystem}
	isOff := func(p *plugins.Plugin) bool { return p.State == plugins.SwitchedOff }
	d.checked = slices.DeleteFunc(d.all(), isOff)
	return d
}

// all returns the plugins in the order of [Doctor.Plugins], with those that are switched off.
func (d *Doctor) all() (all []*plugins.Plugin) {
	if d.options.Environment != nil {
		all = append(all, d.options.Environment)
	}
	for _, slug := range slices.Sorted(maps.Keys(d.options.Dashboard)) {
		all = append(all, d.options.Dashboard[slug])
	}
	return all
}

// Plugins returns the plugins that are checked: the environment's first, the others by their slugs.
func (d *Doctor) Plugins() []*plugins.Plugin { return slices.Clone(d.checked) }

// Check runs all the checks, and returns what is wrong. The findings come in the same order each time: those
// that are not about one plugin first. The slice is never nil. If no time is left for a plugin, a finding
// says so.
func (d *Doctor) Check(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	client := oauth.NewHTTPClient(d.options.RequestTimeout)
	if d.options.Transport != nil {
		client.Transport = d.options.Transport
	}
	providersClock := &clock{transport: client.Transport, now: d.options.Now}
	timed := *client
	timed.Transport = providersClock
	asked := endpoints{providers: &oauth.Endpoint{HTTP: &timed}, self: &oauth.Endpoint{HTTP: client}}

	ofPlugins := make([][]Finding, len(d.checked))
	var group errgroup.Group
	group.SetLimit(maxConcurrent)
	for i, p := range d.checked {
		group.Go(func() error {
			ofPlugins[i] = d.checkPlugin(ctx, asked, p)
			d.options.Done(p)
			return nil
		})
	}
	_ = group.Wait() // none fails

	found := slices.Concat(d.options.Found, d.checkAnyPlugin(), d.checkDataDir(), d.checkPublicURL(),
		d.checkOldKey(), d.checkFly(), providersClock.check(), slices.Concat(ofPlugins...))
	found = append(found, d.checkListener(found)...)
	once := []Finding{}
	for _, f := range found {
		// One cause, such as PUBLIC_URL, may affect every plugin.
		if !slices.Contains(once, f) {
			once = append(once, f)
		}
	}
	slices.SortStableFunc(once, func(a, b Finding) int {
		return cmp.Compare(min(len(a.Plugin), 1), min(len(b.Plugin), 1))
	})
	return once
}

// endpoints are what the doctor sends its requests with.
type endpoints struct {
	providers *oauth.Endpoint // the dates of its answers are compared with this machine's clock
	self      *oauth.Endpoint // the service itself
}

func (d *Doctor) checkAnyPlugin() []Finding {
	if len(d.checked) > 0 {
		return nil
	}
	return []Finding{{
		Level: LevelWarning,
		What:  "There is no plugin.",
		Why:   whyNobody,
		Fix: "Add one in the dashboard, in the collection plugins, or set PROVIDER, CLIENT_ID and " +
			"CLIENT_SECRET.",
	}}
}

func (d *Doctor) checkPlugin(ctx context.Context, asked endpoints, p *plugins.Plugin) []Finding {
	if p.State != plugins.Available {
		return d.checkUnavailable(p)
	}
	answered := d.checkProvider(ctx, asked.providers, p)
	answered = append(answered, d.checkRedirectURI(ctx, asked.self, p)...)
	answered = append(answered, d.checkAPI(ctx, p)...)
	if ctx.Err() != nil {
		// Requests that were cancelled say nothing about the servers that they were sent to.
		answered = []Finding{{
			Level:  LevelWarning,
			Plugin: label(p),
			What:   "There was no time left to check this plugin.",
			Why:    whyNotKnown,
			Fix:    "Run doctor again.",
		}}
	}
	return slices.Concat(answered, d.checkEncryption(p), checkOrigins(p), checkScope(p),
		checkRefreshToken(p), checkHubSpot(p, d.options.Now()))
}

// label is how findings name a plugin.
func label(p *plugins.Plugin) string { return plugins.DisplaySlug(p.Slug) }

package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"plugin-oauth/hooks/cluster"
	"plugin-oauth/hooks/doctor"
	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
	"plugin-oauth/hooks/relay"
)

// Config is everything the service must know before it starts.
// [LoadConfig] reads it from the environment; a test or an example may fill it by hand.
type Config struct {
	// Plugin answers at the root: /authorize, /redirect and so on. Nil means that there is none: the service
	// starts all the same, and says how to add one.
	Plugin *plugins.Plugin

	// ParentDomain is what plugins are published under. Blank means plugins.framercdn.com.
	ParentDomain string

	// PublicURL is where the world reaches the service. Blank means the plugin's redirect URI without its
	// path.
	PublicURL string

	// EncryptionKey seals the client secrets that are entered in the dashboard: 32 bytes. If it is blank, the
	// dashboard takes no client secret, and plugins that have one cannot be used.
	EncryptionKey string

	// OldEncryptionKey is the key before EncryptionKey: it still opens the tokens that were sealed under it.
	OldEncryptionKey string

	// AllowHTTP allows endpoints of providers with http:// that are not on this machine. They are sent the
	// client secret, codes and tokens.
	AllowHTTP bool

	// SessionTTL is the life of a login, from /authorize until its secrets are erased. Zero means 10 minutes.
	SessionTTL time.Duration

	// SessionRetention is how long the row of a login stays for the admin after its secrets are gone. Zero
	// means 168 hours. That of a login which never came back goes after an hour. Of those that have expired
	// the latest 100,000 stay at most, and of those that were denied or failed the latest 50,000 of each.
	SessionRetention time.Duration

	// AuthorizeRateLimit bounds the logins that one client network may start. Zero means 60 a minute.
	AuthorizeRateLimit RateLimit

	// RefreshRateLimit bounds the refresh tokens of one client network that the provider refuses, and the
	// revocations of tokens that the service does not know. Zero means 120 a minute.
	RefreshRateLimit RateLimit

	// ConfirmLogin says when a person is asked before a login is finished: "auto" (or blank), if it comes
	// back from another network than it was started from; "always" or "never".
	ConfirmLogin string

	// TrustedProxyHeaders name the request headers that carry the client's address, such as Fly-Client-IP.
	// A header that is not named here is never believed.
	TrustedProxyHeaders []string

	// SuperuserEmail and SuperuserPassword make the first admin at start, if no admin has this address.
	SuperuserEmail, SuperuserPassword string

	// MetricsAddr is where GET /metrics answers Prometheus, such as 127.0.0.1:9091. Blank means nowhere.
	MetricsAddr string

	// AlertURL is told, by a POST of {"text": …}, once when a plugin begins to fail and once when it works
	// again. Whoever knows it can post there, so it is a secret. Blank: nobody is told.
	AlertURL string

	// Log takes a line for each login that ends, and for each fault. Nil means text on standard error.
	Log slog.Handler

	// Version is what the metrics call this build.
	Version string

	// Cluster says with which machines this one shares what it keeps. Its Folder and its Log are set at the
	// start. Nil: it is alone.
	Cluster *cluster.Config

	// TLSCertFile and TLSKeyFile are PEM files. With both set the listener speaks HTTPS.
	TLSCertFile, TLSKeyFile string

	// CheckAtStart makes the service check itself and the providers once it listens, as the command doctor
	// does. What it finds is logged as warnings, and printed on standard error. It never stops the service.
	CheckAtStart bool

	onFly    bool             // a machine of Fly.io, whose proxy stands in front
	mistakes []doctor.Finding // in the environment; the service starts all the same
	timing   timing

	// apiTransport calls APIs. Nil means that of package relay.
	apiTransport http.RoundTripper

	// connectionsMemory bounds what the connections take. Zero stands for the constant of that name.
	connectionsMemory int

	// openFiles is how many files may be open. Zero stands for what the function of that name returns.
	openFiles uint64

	// measureMemory measures what pressure watches. Nil stands for the function of that name.
	measureMemory func() memoryUse

	// collectGarbage collects the garbage. Nil stands for [runtime.GC].
	collectGarbage func()

	// bothLoopbacks makes a listener on one loopback address listen on the other one, too.
	bothLoopbacks bool

	// speaksTLS says that PocketBase makes the listener speak HTTPS, with certificates that it gets itself.
	// redirectAddress is where plain HTTP is then redirected from. Blank: nowhere.
	// domains are those that it gets them for.
	speaksTLS       bool
	redirectAddress string
	domains         []string

	// handed are sockets to listen on instead of at an address. Nil: there are none.
	handed *handedSockets

	// hangups receives a value for each SIGHUP. Nil: they are the program's.
	hangups <-chan os.Signal
}

// timing holds the clock and the durations that tests shorten. A zero field stands for its default.
type timing struct {
	now         func() time.Time
	provider    time.Duration // bounds a request to a provider
	body        time.Duration // bounds the reading of a request's body
	headers     time.Duration // bounds the reading of a request's headers
	answer      time.Duration // bounds the time from a request's headers to the end of its answer
	idle        time.Duration // how long a connection may wait for another request
	apiHead     time.Duration // bounds the wait for the head of an API's answer
	refreshKept time.Duration // how long the answer to a rotated refresh token is given again
	pollSecond  time.Duration // what a poll's wait=1 stands for
	checkAfter  time.Duration // from the start until the set-up is checked
	certificate time.Duration // how often the files of the TLS certificate are looked at
	memory      time.Duration // how often the memory is measured
}

const (
	defaultSessionTTL       = 10 * time.Minute
	defaultSessionRetention = 168 * time.Hour
	defaultBodyTimeout      = 10 * time.Second
	defaultHeadersTimeout   = 10 * time.Second

	// defaultAnswerTimeout is long enough for a poll that is held for 30 seconds, and then read slowly.
	defaultAnswerTimeout = time.Minute

	// defaultIdleTimeout is longer than nginx and the load balancers of clouds keep a connection for the next
	// request, which is a minute. Otherwise they would send one just when the connection is closed.
	defaultIdleTimeout = 75 * time.Second

	defaultRefreshKept = 30 * time.Second

	// defaultCheckAfter keeps a service that crashes again and again from asking the providers each time.
	defaultCheckAfter = 2 * time.Second

	defaultCertificateInterval = 30 * time.Second
)

// HowToAddPlugin is shown wherever somebody meets a service that has no plugin yet.
const HowToAddPlugin = "No plugin is configured at this address. Set PROVIDER, CLIENT_ID, CLIENT_SECRET " +
	"and REDIRECT_URI in the environment or in a .env file in the working folder, then start again. Or set " +
	"PUBLIC_URL and ENCRYPTION_KEY there, start again, and add plugins in the dashboard; the address of " +
	"each ends in its slug."

// LoadConfig reads the configuration from the environment and from dir/.env, if there is one; the environment
// wins. Fields that are not set get their defaults. Without TLS_CERT_FILE it looks for the files that `mkcert
// localhost` writes to dir. An error is one line that names the variable and the fix. It never quotes a value
// that may be secret.
func LoadConfig(dir string) (Config, error) {
	env, err := readEnvironment(dir)
	if err != nil {
		return Config{}, err
	}
	config, err := configFrom(env.get)
	if err != nil {
		return Config{mistakes: env.mistakes()}, err
	}
	if config.TLSCertFile == "" && config.TLSKeyFile == "" {
		config.TLSCertFile, config.TLSKeyFile = mkcertFiles(dir)
	}
	config.onFly, config.mistakes = env.get("FLY_APP_NAME") != "", env.mistakes()
	return config.withDefaults(), nil
}

// configFrom reads the configuration from variables.
func configFrom(get func(name string) string) (Config, error) {
	config := Config{
		ParentDomain:        get("PLUGIN_PARENT_DOMAIN"),
		PublicURL:           get("PUBLIC_URL"),
		EncryptionKey:       get("ENCRYPTION_KEY"),
		OldEncryptionKey:    get("OLD_ENCRYPTION_KEY"),
		ConfirmLogin:        strings.ToLower(get("CONFIRM_LOGIN")),
		TrustedProxyHeaders: plugins.SplitList(get("TRUSTED_PROXY_HEADERS")),
		SuperuserEmail:      get("SUPERUSER_EMAIL"),
		SuperuserPassword:   get("SUPERUSER_PASSWORD"),
		MetricsAddr:         get("METRICS_ADDR"),
		AlertURL:            get("ALERT_URL"),
		TLSCertFile:         get("TLS_CERT_FILE"),
		TLSKeyFile:          get("TLS_KEY_FILE"),
	}
	var err error
	if config.AllowHTTP, err = allowHTTP(get("ALLOW_HTTP")); err != nil {
		return Config{}, err
	}
	if config.SessionTTL, err = duration(get, "SESSION_TTL"); err != nil {
		return Config{}, err
	}
	if config.SessionRetention, err = duration(get, "SESSION_RETENTION"); err != nil {
		return Config{}, err
	}
	if config.AuthorizeRateLimit, err = rateLimit(get, "AUTHORIZE_RATE_LIMIT"); err != nil {
		return Config{}, err
	}
	if config.RefreshRateLimit, err = rateLimit(get, "REFRESH_RATE_LIMIT"); err != nil {
		return Config{}, err
	}
	if config.Cluster, err = clusterConfig(get); err != nil {
		return Config{}, err
	}
	config.Plugin, err = environmentPlugin(get)
	return config, err
}

// environmentPlugin returns the plugin at the root as it is configured, or nil if none of its variables is
// set.
func environmentPlugin(get func(name string) string) (*plugins.Plugin, error) {
	plugin := plugins.New(func(field string) string {
		if field == "slug" {
			return "" // it answers at the root
		}
		return get(plugins.Variable(field))
	})
	if uri := get("PLUGIN_URI"); uri != "" {
		origin, err := plugins.OriginOf(uri)
		if err != nil {
			return nil, errors.New("PLUGIN_URI must be an origin such as https://plugin.example")
		}
		plugin.AllowedOrigins = append(plugin.AllowedOrigins, origin)
	}
	if reflect.ValueOf(plugin).IsZero() {
		return nil, nil
	}
	return &plugin, nil
}

func mkcertFiles(dir string) (cert, key string) {
	cert, key = filepath.Join(dir, "localhost.pem"), filepath.Join(dir, "localhost-key.pem")
	for _, file := range []string{cert, key} {
		if _, err := os.Stat(file); err != nil {
			return "", ""
		}
	}
	return cert, key
}

func allowHTTP(value string) (bool, error) {
	if value != "" && value != "0" && value != "1" {
		return false, errors.New("ALLOW_HTTP must be 1, or not be set at all")
	}
	return value == "1", nil
}

func duration(get func(string) string, name string) (time.Duration, error) {
	value := get(name)
	if value == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s %q is not a duration; write it like 90s, 10m or 168h", name, value)
	}
	return d, nil
}

// rateLimit reads "60/1m", or "off".
func rateLimit(get func(string) string, name string) (RateLimit, error) {
	value := get(name)
	switch value {
	case "":
		return RateLimit{}, nil
	case "off":
		return RateLimit{Requests: -1}, nil
	}
	requests, window, _ := strings.Cut(value, "/")
	limit := RateLimit{}
	var requestsErr, windowErr error
	limit.Requests, requestsErr = strconv.Atoi(requests)
	limit.Window, windowErr = time.ParseDuration(window)
	if requestsErr != nil || windowErr != nil || limit.Requests <= 0 || limit.Window <= 0 {
		return RateLimit{}, fmt.Errorf("%s %q must be like 60/1m, or off", name, value)
	}
	return limit, nil
}

// withDefaults returns a copy in which every zero field has its default.
func (c Config) withDefaults() Config {
	if c.SessionTTL == 0 {
		c.SessionTTL = defaultSessionTTL
	}
	if c.AuthorizeRateLimit == (RateLimit{}) {
		c.AuthorizeRateLimit = RateLimit{Requests: 60, Window: time.Minute}
	}
	if c.RefreshRateLimit == (RateLimit{}) {
		c.RefreshRateLimit = RateLimit{Requests: 120, Window: time.Minute}
	}
	c.ConfirmLogin = cmp.Or(c.ConfirmLogin, "auto")
	if c.Log == nil {
		c.Log = slog.NewTextHandler(os.Stderr, nil)
	}
	if c.SessionRetention == 0 {
		c.SessionRetention = defaultSessionRetention
	}
	if c.Plugin != nil {
		plugin := c.Plugin.Complete(c.pluginDefaults())
		c.Plugin = &plugin
	}
	c.timing = c.timing.withDefaults()
	c.connectionsMemory = cmp.Or(c.connectionsMemory, connectionsMemory)
	c.openFiles = cmp.Or(c.openFiles, openFiles())
	if c.measureMemory == nil {
		c.measureMemory = measureMemory
	}
	if c.collectGarbage == nil {
		c.collectGarbage = runtime.GC
	}
	return c
}

func (t timing) withDefaults() timing {
	if t.now == nil {
		t.now = time.Now
	}
	t.provider = cmp.Or(t.provider, oauth.DefaultTimeout)
	t.body = cmp.Or(t.body, defaultBodyTimeout)
	t.headers = cmp.Or(t.headers, defaultHeadersTimeout)
	t.answer = cmp.Or(t.answer, defaultAnswerTimeout)
	t.idle = cmp.Or(t.idle, defaultIdleTimeout)
	t.refreshKept = cmp.Or(t.refreshKept, defaultRefreshKept)
	t.pollSecond = cmp.Or(t.pollSecond, time.Second)
	t.checkAfter = cmp.Or(t.checkAfter, defaultCheckAfter)
	t.certificate = cmp.Or(t.certificate, defaultCertificateInterval)
	t.memory = cmp.Or(t.memory, defaultMemoryInterval)
	return t
}

func (c Config) pluginDefaults() plugins.Defaults {
	return plugins.Defaults{
		ParentDomain:     c.ParentDomain,
		PublicURL:        c.baseURL(),
		AllowHTTP:        c.AllowHTTP,
		EncryptionKey:    c.EncryptionKey,
		OldEncryptionKey: c.OldEncryptionKey,
	}
}

func (c Config) relayOptions() relay.Options {
	return relay.Options{
		HeadTimeout:  c.timing.apiHead,
		StallTimeout: c.timing.answer,
		ProxyHeaders: c.TrustedProxyHeaders,
		Transport:    c.apiTransport,
	}
}

// baseURL is where the world reaches the service, without a slash at the end. It is blank if that is not
// known.
func (c Config) baseURL() string {
	address := c.PublicURL
	if address == "" && c.Plugin != nil {
		address, _, _ = strings.Cut(c.Plugin.RedirectURI, "?")
		address = strings.TrimSuffix(strings.TrimSuffix(address, "/"), c.Plugin.RedirectPath())
	}
	return strings.TrimSuffix(address, "/")
}

// basePath is the path of baseURL, which a proxy takes away again. It is blank if there is none.
func (c Config) basePath() string {
	u, err := url.Parse(c.baseURL())
	if err != nil {
		return ""
	}
	return u.Path
}

// Validate reports the first thing that must be fixed before the service can start, in one line that names
// the variable.
func (c Config) Validate() error {
	c = c.withDefaults()
	for _, validate := range []func() error{
		c.validateSessions, c.validateAddresses, c.validateSecrets, c.validateCluster,
	} {
		if err := validate(); err != nil {
			return err
		}
	}
	if c.Plugin != nil {
		if errs := c.Plugin.Validate(); len(errs) > 0 {
			return fmt.Errorf("%s %s", plugins.Variable(errs[0].Field), errs[0].Fix)
		}
	}
	return nil
}

func (c Config) validateSessions() error {
	switch {
	case c.SessionTTL < 0:
		return errors.New("SESSION_TTL must be positive")
	case c.SessionRetention < 0:
		return errors.New("SESSION_RETENTION must be positive")
	case !slices.Contains([]string{"auto", "always", "never"}, c.ConfirmLogin):
		return errors.New("CONFIRM_LOGIN must be auto, always or never")
	}
	return nil
}

func (c Config) validateAddresses() error {
	_, publicErr := oauth.ParseAbsoluteURL(c.PublicURL)
	_, alertErr := oauth.ParseAbsoluteURL(c.AlertURL)
	_, _, metricsErr := net.SplitHostPort(c.MetricsAddr)
	switch {
	case (c.TLSCertFile == "") != (c.TLSKeyFile == ""):
		return errors.New("TLS_CERT_FILE and TLS_KEY_FILE belong together; set both, or neither")
	case !plugins.IsDomain(c.ParentDomain):
		return errors.New("PLUGIN_PARENT_DOMAIN must be only a domain, such as plugins.framercdn.com")
	case c.PublicURL != "" && publicErr != nil:
		return fmt.Errorf("PUBLIC_URL %w", publicErr)
	case strings.HasSuffix(strings.TrimSuffix(c.PublicURL, "/"), "/redirect") ||
		strings.Contains(c.PublicURL, "?"):
		return errors.New("PUBLIC_URL must be only the address, without a query and without /redirect, " +
			"which plugin-oauth adds")
	case c.MetricsAddr != "" && metricsErr != nil:
		return errors.New("METRICS_ADDR must be an address with a port, such as 127.0.0.1:9091")
	case c.AlertURL != "" && alertErr != nil:
		return fmt.Errorf("ALERT_URL %w", alertErr)
	case oauth.InTheClear(c.AlertURL):
		return errors.New("ALERT_URL must start with https://, unless it is on this machine: whoever reads " +
			"the address on the way can post there")
	}
	return nil
}

func (c Config) validateSecrets() error {
	_, emailErr := mail.ParseAddress(c.SuperuserEmail)
	passwordFits := utf8.RuneCountInString(c.SuperuserPassword) >= 8 && len(c.SuperuserPassword) <= 71
	switch {
	case (c.SuperuserEmail == "") != (c.SuperuserPassword == ""):
		return errors.New("SUPERUSER_EMAIL and SUPERUSER_PASSWORD belong together; set both, or neither")
	case c.SuperuserEmail != "" && emailErr != nil:
		return errors.New("SUPERUSER_EMAIL is not an email address")
	case c.SuperuserPassword != "" && !passwordFits:
		return errors.New("SUPERUSER_PASSWORD must have 8 to 71 characters")
	case c.EncryptionKey != "" && len(c.EncryptionKey) != plugins.EncryptionKeyLength:
		return fmt.Errorf("ENCRYPTION_KEY must have %d characters; %s", plugins.EncryptionKeyLength,
			plugins.HowToMakeKey)
	case c.OldEncryptionKey != "" && len(c.OldEncryptionKey) != plugins.EncryptionKeyLength:
		return fmt.Errorf("OLD_ENCRYPTION_KEY must be the key with %d characters that was ENCRYPTION_KEY "+
			"before", plugins.EncryptionKeyLength)
	case c.OldEncryptionKey != "" && c.EncryptionKey == "":
		return errors.New("ENCRYPTION_KEY must be set beside OLD_ENCRYPTION_KEY, which only opens tokens " +
			"that were sealed before")
	case plugins.IsGuessable(c.OldEncryptionKey):
		return errors.New("OLD_ENCRYPTION_KEY must not be one character over and over again: anybody can " +
			"make tokens that open with it. Take it away")
	case plugins.IsGuessable(c.EncryptionKey):
		return errors.New("ENCRYPTION_KEY must not be one character over and over again, which anybody can " +
			"guess; " + plugins.HowToMakeKey + ". If client secrets are stored already, the command rekey " +
			"moves them to the new key")
	}
	return nil
}

// certificate loads the TLS certificate, or returns nil if none is configured.
func (c Config) certificate() (*certificateFiles, error) {
	if c.TLSCertFile == "" {
		return nil, nil
	}
	return newCertificate(c.TLSCertFile, c.TLSKeyFile)
}

package hooks

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/cmd"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/routine"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// defaultAddress is where deployed plugins look for their backend in development.
const defaultAddress = "127.0.0.1:8787"

// NewServeCommand returns PocketBase's serve command with the service registered, and with a default port of
// its own. The version is the one that it reports. It bootstraps the app by itself, once everything that it
// was given is found to be valid: so a mistake leaves no data folder behind.
func NewServeCommand(app core.App, version string) *cobra.Command {
	serve := cmd.NewServeCommand(app, false)
	serve.Short = "Starts the server (on " + defaultAddress + " if neither a domain nor --http is given)"
	explainServeFlags(serve)
	logFormat := serve.Flags().String("log-format", "text", "how logins and faults are logged on standard "+
		"error: text or json")
	serve.PreRunE = func(_ *cobra.Command, domains []string) error {
		if err := checkDomains(domains); err != nil {
			return err
		}
		useThreads()
		config, err := configForServe(*logFormat)
		if err != nil {
			return err
		}
		collect := debug.FreeOSMemory
		if config.Cluster == nil { // else the start may wait for other machines
			collect = delayGarbageCollection()
		}
		config.Version, config.CheckAtStart = version, true
		if config.handed, err = takeHandedSockets(); err != nil {
			return err
		}
		scheme, err := chooseAddress(serve, domains, &config)
		if err != nil {
			return err
		}
		config.redirectAddress, config.domains = redirectAddress(serve, domains), domains
		config.hangups = hangups()
		lockDataDir(app)
		// It comes before the service's own, and so has the service whole behind its Next.
		app.OnServe().BindFunc(func(e *core.ServeEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			go collect()
			base := config.reachedAt(scheme, e)
			if len(domains) > 0 {
				base = "https://" + domains[0]
			}
			return greet(e, base, config, *logFormat == "json")
		})
		return Register(app, config)
	}
	serve.RunE = func(_ *cobra.Command, domains []string) error {
		return untilSignal(func() error {
			if !app.IsBootstrapped() {
				if err := app.Bootstrap(); err != nil {
					return err
				}
			}
			return serveAddresses(app, serve, domains)
		})
	}
	return serve
}

// useThreads lets Go use two threads where there is one processor, unless GOMAXPROCS says otherwise. Else
// what computes for long, such as the hash of a password, would hold up all other requests, by 10 ms in each
// of their steps. The system shares a processor among threads more evenly.
func useThreads() {
	if runtime.GOMAXPROCS(0) == 1 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2)
	}
}

// delayGarbageCollection lets the heap grow to 12 MB before its garbage is collected, instead of 4, until
// collect is called: a start makes 8 MB, and collecting them on the way takes a tenth of its processor time.
func delayGarbageCollection() (collect func()) {
	usual := debug.SetGCPercent(300)
	return func() {
		debug.FreeOSMemory() // what the start has needed is needed no more
		debug.SetGCPercent(usual)
	}
}

// explainServeFlags says what PocketBase's flags do here.
func explainServeFlags(serve *cobra.Command) {
	for name, usage := range map[string]string{
		"http": "where to listen: PORT for this machine only, :PORT for all networks,\n" +
			"HOST:PORT, or unix:PATH for a socket\n" +
			"(default " + defaultAddress + " and [::1]:8787; with a domain 0.0.0.0:80)",
		"https": "where to listen with HTTPS and a certificate from Let's Encrypt, whatever\n" +
			"TLS_CERT_FILE says (default none; with a domain 0.0.0.0:443)",
		"origins": "pages that may call PocketBase's own API; a plugin's are in PLUGIN_ID and\n" +
			"ALLOWED_ORIGINS",
	} {
		serve.PersistentFlags().Lookup(name).Usage = usage
	}
}

// untilSignal runs a function, and returns before its end if the process is told to end.
func untilSignal(run func() error) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- routine.SafeWrap(run)() }()
	select {
	case <-signals:
		return nil
	case err := <-ended:
		return err
	}
}

// hangups returns what receives a value for each SIGHUP, which ends nothing from then on.
func hangups() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals
}

// domainForm is the form of a domain that a certificate can be got for.
var domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]\.?$`)

// checkDomains refuses arguments that are no domains, such as a port.
func checkDomains(domains []string) error {
	for _, domain := range domains {
		host, port, err := net.SplitHostPort(domain)
		switch {
		case isPort(domain):
			return fmt.Errorf("%q is not a domain; for the port write --http %s", domain, domain)
		case err == nil && isPort(port) && !domainForm.MatchString(strings.ToLower(host)):
			return fmt.Errorf("%q is not a domain; for an address write --http %s", domain, domain)
		case !domainForm.MatchString(strings.ToLower(domain)):
			return fmt.Errorf("%q is not a domain such as my-backend.example, which a certificate can be "+
				"got for; without a domain, serve starts at %s",
				domain, defaultAddress)
		}
	}
	return nil
}

func isPort(value string) bool {
	number, err := strconv.ParseUint(value, 10, 16)
	return err == nil && strconv.FormatUint(number, 10) == value
}

// addresses returns where the server listens for plain HTTP and for HTTPS. Blank: nowhere. Without flags it
// is where PocketBase would.
func addresses(serve *cobra.Command, domains []string) (httpAddress, httpsAddress string) {
	flags := serve.PersistentFlags()
	httpAddress, httpsAddress = flags.Lookup("http").Value.String(), flags.Lookup("https").Value.String()
	switch {
	case len(domains) > 0:
		return cmp.Or(httpAddress, "0.0.0.0:80"), cmp.Or(httpsAddress, "0.0.0.0:443")
	case httpsAddress != "":
		return httpAddress, httpsAddress
	default:
		return cmp.Or(httpAddress, defaultAddress), ""
	}
}

// redirectAddress is where plain HTTP is redirected to HTTPS from. Blank: nowhere.
func redirectAddress(serve *cobra.Command, domains []string) string {
	httpAddress, httpsAddress := addresses(serve, domains)
	if httpsAddress == "" {
		return ""
	}
	return httpAddress
}

// serveAddresses does what PocketBase's own command does, but lets PocketBase redirect nothing to HTTPS,
// since its server for that takes whatever a stranger sends. The service has one of its own.
func serveAddresses(app core.App, serve *cobra.Command, domains []string) error {
	origins, err := serve.PersistentFlags().GetStringSlice("origins")
	if err != nil {
		return err
	}
	httpAddress, httpsAddress := addresses(serve, domains)
	if httpsAddress != "" {
		httpAddress = ""
	}
	return apis.Serve(app, apis.ServeConfig{
		HttpAddr:           httpAddress,
		HttpsAddr:          httpsAddress,
		CertificateDomains: domains,
		AllowedOrigins:     origins,
	})
}

// configForServe loads the configuration from the working folder, with a log in the given format. What looks
// like a mistake in it is logged first, since it may be why the configuration is not valid.
func configForServe(logFormat string) (Config, error) {
	var log slog.Handler
	switch logFormat {
	case "text":
		log = onStandardError(newText)
	case "json":
		log = onStandardError(newJSON)
	default:
		return Config{}, errors.New("--log-format must be text or json")
	}
	config, err := LoadConfig(".")
	for _, mistake := range config.mistakes {
		warnOf(slog.New(log), mistake)
	}
	config.Log = log
	return config, err
}

// chooseAddress sets the address to listen on if none is given, and returns the scheme that it will be
// reached with.
func chooseAddress(serve *cobra.Command, domains []string, config *Config) (scheme string, err error) {
	flags := serve.PersistentFlags()
	httpFlag, httpsFlag := flags.Lookup("http"), flags.Lookup("https")
	scheme = "http"
	if config.handed != nil && (len(domains) > 0 || httpFlag.Value.String() != "" || httpsFlag.Changed) {
		return "", errors.New("systemd has handed over the sockets to listen on (LISTEN_FDS); leave out " +
			"--http, --https and domains, or stop and disable the socket unit")
	}
	switch {
	case len(domains) > 0 || httpsFlag.Changed:
		// PocketBase gets certificates for these by itself.
		config.TLSCertFile, config.TLSKeyFile, config.speaksTLS, scheme = "", "", true, "https"
	case config.TLSCertFile != "":
		scheme = "https"
	}
	if len(domains) == 0 && !httpsFlag.Changed && httpFlag.Value.String() == "" {
		config.bothLoopbacks = true
		return scheme, httpFlag.Value.Set(defaultAddress)
	}
	if path, isSocket := strings.CutPrefix(httpFlag.Value.String(), socketPrefix); isSocket {
		if len(domains) > 0 || httpsFlag.Changed {
			return "", errors.New("--http must be an address with a port beside a domain or --https: what " +
				"comes there is redirected to https")
		}
		return scheme, checkSocket(path)
	}
	for _, given := range []*pflag.Flag{httpFlag, httpsFlag} {
		value := given.Value.String()
		if value == "" {
			continue
		}
		host := "127.0.0.1"
		if len(domains) > 0 {
			host = "0.0.0.0" // others must reach it, to check that the domain is ours
		} else if isPort(value) {
			config.bothLoopbacks = true
		}
		address, err := addressWithHost(given.Name, value, host)
		if err != nil {
			return "", err
		}
		if err := given.Value.Set(address); err != nil {
			return "", err
		}
	}
	return scheme, nil
}

// addressWithHost returns the address that the value of a flag means: a port alone is one of a host.
func addressWithHost(flag, value, host string) (string, error) {
	if isPort(value) {
		return net.JoinHostPort(host, value), nil
	}
	_, port, err := net.SplitHostPort(value)
	switch {
	case strings.Trim(value, "0123456789") == "":
		return "", fmt.Errorf("--%s %q is not a port, which is a number up to 65535", flag, value)
	case strings.Contains(value, "/"):
		return "", fmt.Errorf("--%s %q must be only a host and a port, such as %s", flag, value,
			defaultAddress)
	case err != nil && !strings.Contains(value, ":"):
		return "", fmt.Errorf("--%s %q has no port; write it like %s:8787", flag, value, value)
	case err != nil:
		return "", fmt.Errorf("--%s %q is not an address; write it like %s or [::1]:8787", flag, value,
			defaultAddress)
	case port == "" || !isKnownPort(port):
		return "", fmt.Errorf("--%s %q must end in a port, a number up to 65535", flag, value)
	}
	return value, nil
}

// isKnownPort reports whether a value is a port, or the name of one such as https.
func isKnownPort(value string) bool {
	_, err := net.LookupPort("tcp", value)
	return err == nil
}

// reachedAt returns the address that the service has for browsers on this machine, or the public one if it
// listens at no address. It is blank if that is not known.
func (c Config) reachedAt(scheme string, e *core.ServeEvent) string {
	if e.Listener.Addr().Network() == "unix" {
		return c.baseURL()
	}
	address := e.Server.Addr
	if c.handed != nil {
		address = e.Listener.Addr().String()
	}
	return scheme + "://" + reachable(address)
}

// sockets returns the names of the sockets that the service listens at. Those of an address are none, unless
// they were handed over.
func (c Config) sockets(e *core.ServeEvent) []string {
	if c.handed != nil {
		return c.handed.names()
	}
	if address := e.Listener.Addr(); address.Network() == "unix" {
		return []string{socketPrefix + address.String()}
	}
	return nil
}

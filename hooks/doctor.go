package hooks

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"
)

// finding is one thing that is not well, in words for an admin. It never holds a secret, the query of an address, or a
// provider's own words.
type finding struct {
	Level  string `json:"level"`  // levelError or levelWarning
	Plugin string `json:"plugin"` // its slug, "/" for the one at the root; blank: it is not about one plugin
	What   string `json:"what"`
	Why    string `json:"why"`  // what happens if it stays so
	Mend   string `json:"mend"` // names the command, the variable or the field
}

const (
	levelError   = "error"   // people cannot sign in, or a secret is in danger
	levelWarning = "warning" // all else
)

const (
	// examineTimeout bounds all the checks together.
	examineTimeout = time.Minute

	// examineAtOnce bounds the plugins that are checked at a time.
	examineAtOnce = 4

	// madeUpCode stands for the code, and for the state, where a provider is asked without a login.
	madeUpCode = "plugin-oauth-doctor"

	// checkAfter is how long the check at start waits, so that a service that crashes again and again does not ask the providers
	// each time.
	checkAfter = 2 * time.Second

	// clockTolerance is how far a clock may be off.
	clockTolerance = time.Minute

	// littleSpace and tooLittleSpace are of the disk with the data folder, in bytes.
	littleSpace, tooLittleSpace = 100 << 20, 10 << 20

	whyNobody = "Nobody can sign in."
)

// hubSpotV1 is a token endpoint that many an older backend has. HubSpot ends it.
const hubSpotV1 = "https://api.hubapi.com/oauth/v1/token"

var hubSpotV1Ends = time.Date(2027, time.February, 16, 0, 0, 0, 0, time.UTC)

// doctor checks the configuration, the machine and the providers. It changes nothing.
type doctor struct {
	config    Config
	plugins   []*Plugin // that of the environment first, the others by their slugs
	client    *http.Client
	dataDir   string
	now       func() time.Time
	freeSpace func(folder string) (bytes uint64, known bool)
	done      func(*Plugin) // is called when one is checked
}

// newDoctor returns the doctor of a configuration that is valid and complete, and of the dashboard's plugins. Those that are switched
// off are left out.
func newDoctor(config Config, dashboard map[string]*Plugin, dataDir string) *doctor {
	d := &doctor{config: config, client: newTokenClient(), dataDir: dataDir, now: time.Now, freeSpace: freeSpace, done: func(*Plugin) {}}
	if d.config.Plugin != nil {
		d.plugins = append(d.plugins, d.config.Plugin)
	}
	for _, slug := range slices.Sorted(maps.Keys(dashboard)) {
		if plugin := dashboard[slug]; plugin.closed != errSwitchedOff {
			d.plugins = append(d.plugins, plugin)
		}
	}
	return d
}

// examine makes all checks. The findings come in the same order each time: those about no single plugin first.
func (d *doctor) examine(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	ofProviders := &clock{transport: d.client.Transport}
	timed := *d.client
	timed.Transport = ofProviders
	// The service's own metrics count logins, not checks.
	providers, own := &relay{tokenClient: &timed, metrics: newMetrics()}, &relay{tokenClient: d.client}

	ofPlugins := make([][]finding, len(d.plugins))
	var group errgroup.Group
	group.SetLimit(examineAtOnce)
	for i, p := range d.plugins {
		group.Go(func() error {
			ofPlugins[i] = d.examinePlugin(ctx, p, providers, own)
			d.done(p)
			return nil
		})
	}
	_ = group.Wait()

	found := slices.Concat(d.checkPlugins(), d.checkDataDir(), d.checkPublicURL(), d.checkFly(), ofProviders.check(), slices.Concat(ofPlugins...))
	var once []finding
	for _, f := range found {
		// One cause, such as PUBLIC_URL, may show at every plugin.
		if !slices.Contains(once, f) {
			once = append(once, f)
		}
	}
	slices.SortStableFunc(once, func(a, b finding) int { return cmp.Compare(min(len(a.Plugin), 1), min(len(b.Plugin), 1)) })
	return once
}

func (d *doctor) checkPlugins() []finding {
	if len(d.plugins) > 0 {
		return nil
	}
	return []finding{{levelWarning, "", "There is no plugin.", "Nobody can sign in.", "Add one in the dashboard, in the collection plugins, or set PROVIDER, CLIENT_ID and CLIENT_SECRET."}}
}

func (d *doctor) examinePlugin(ctx context.Context, p *Plugin, providers, own *relay) []finding {
	if p.closed != nil {
		return d.checkClosed(p)
	}
	asked := slices.Concat(providers.checkProvider(ctx, p), d.checkRedirectURI(ctx, own, p))
	if ctx.Err() != nil {
		// Requests that were broken off say nothing of whom they were sent to.
		asked = []finding{p.warning("There was no time left to check this plugin.", "Whether people can sign in is not known.", "Run doctor again.")}
	}
	return slices.Concat(asked, d.checkEncryption(p), p.checkOrigins(), p.checkRefreshToken(), p.checkHubSpot(d.now()))
}

// label is how findings name a plugin.
func (p *Plugin) label() string { return plainSlug(p.Slug) }

// where names what an admin changes: a variable, or a field in the dashboard.
func (p *Plugin) where(field string) string {
	if p.Slug == "" {
		return p.name(field)
	}
	return "the field " + field + " of the plugin " + p.Slug + " in the dashboard"
}

// name is the short form of it, for a second one in a sentence.
func (p *Plugin) name(field string) string {
	if p.Slug == "" {
		return variable(field)
	}
	return field
}

func (p *Plugin) failure(what, why, mend string) finding {
	return finding{levelError, p.label(), what, why, mend}
}

func (p *Plugin) warning(what, why, mend string) finding {
	return finding{levelWarning, p.label(), what, why, mend}
}

// checkClosed says why a plugin answers nothing.
func (d *doctor) checkClosed(p *Plugin) []finding {
	switch {
	case p.closed != errNoSecret:
		return []finding{p.failure("The plugin cannot be used.", "Nobody can sign in with it.", p.closed.Description)}
	case d.config.EncryptionKey == "":
		return []finding{{levelError, "", "ENCRYPTION_KEY is not set, so the client secrets of the dashboard's plugins cannot be read.",
			"Nobody can sign in with these plugins.", "Set ENCRYPTION_KEY to the key that they were saved under."}}
	default:
		return []finding{p.failure("The client secret does not open with this ENCRYPTION_KEY.", "Nobody can sign in with this plugin.",
			"Set ENCRYPTION_KEY to the key that the plugin was saved under, or enter "+p.where("clientSecret")+" again.")}
	}
}

// checkProvider asks both endpoints what a login asks them.
func (r *relay) checkProvider(ctx context.Context, p *Plugin) []finding {
	filled, err := p.forTenant("")
	if err != nil {
		return nil // only the plugin's people know the tenant
	}
	row, _ := findPreset(p.Provider)
	authorizeField := p.endpointFrom("authorizeEndpoint", p.AuthorizeEndpoint, row.AuthorizeEndpoint)
	tokenField := p.endpointFrom("tokenEndpoint", p.TokenEndpoint, row.TokenEndpoint)
	verifier := oauth2.GenerateVerifier()

	var findings []finding
	status, err := r.get(ctx, filled.authorizationURL(madeUpCode, verifier), nil)
	if what := trouble(err); what != "" {
		findings = append(findings, p.failure("The authorize endpoint "+what+".", whyNobody, mendOfTrouble(authorizeField, filled.AuthorizeEndpoint, row.AuthorizeEndpoint)))
		if hostOf(filled.AuthorizeEndpoint) == hostOf(filled.TokenEndpoint) {
			return findings // the same would be said twice
		}
	} else if status == http.StatusBadRequest || status == http.StatusUnauthorized || status == http.StatusForbidden {
		// RFC 6749 section 4.1.2.1: with a client or a redirect URI that it does not know, a provider must not redirect.
		findings = append(findings, p.warning(fmt.Sprintf("The authorize endpoint refuses the login with the status %d.", status),
			"People may see an error instead of the provider's login.", "Check "+p.where("clientId")+", and that the provider knows the redirect URI "+withoutQuery(p.RedirectURI)+"."))
	} else if status == http.StatusNotFound || status == http.StatusGone || status >= 500 {
		findings = append(findings, p.warning(fmt.Sprintf("The authorize endpoint answers with the status %d.", status),
			"People may see an error instead of the provider's login.", "Check "+authorizeField+"."))
	}
	if inTheClear(filled.TokenEndpoint) {
		return findings // checkEncryption reports it; the secret is not sent for a check
	}
	_, err = r.exchange(ctx, filled, madeUpCode, verifier)
	if f, found := p.judgeExchange(err, tokenField, row); found {
		findings = append(findings, f)
	}
	return findings
}

// judgeExchange reads what the token endpoint says of a code that it never gave. It should refuse that, and nothing else.
func (p *Plugin) judgeExchange(err error, tokenField string, row preset) (finding, bool) {
	const cannotTell = "Whether people can sign in is not known."
	refused, isRefusal := errors.AsType[refusedToken](err)
	meaning := meaningOf(refused.code)
	wrongAddress := slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone}, refused.status)
	switch what := trouble(err); {
	case err == nil:
		return p.warning("The token endpoint took a code that it never gave.", cannotTell, "Check "+tokenField+"."), true
	case what != "":
		return p.failure("The token endpoint "+what+".", whyNobody, mendOfTrouble(tokenField, p.TokenEndpoint, row.TokenEndpoint)), true
	case meaning == meansWrongGrant:
		return finding{}, false
	case meaning == meansWrongClient:
		return p.failure("The provider does not accept the client ID or the secret.", whyNobody,
			"Enter "+p.where("clientSecret")+" again; if it is right, check "+p.name("clientId")+" and "+p.name("tokenAuth")+"."), true
	case meaning == meansWrongRedirectURI:
		return p.failure("The provider does not know the redirect URI.", whyNobody,
			"Enter "+withoutQuery(p.RedirectURI)+" at the provider, in its developer console."), true
	case meaning == meansProviderFails || refused.status >= 500 || refused.status == http.StatusTooManyRequests:
		return p.warning("The provider has a problem of its own, so it could not be checked.", cannotTell, "Run doctor again in some minutes."), true
	case !isRefusal || !refused.object || (refused.code == "" && wrongAddress):
		return p.failure("The token endpoint gives an answer that is not OAuth.", whyNobody, "Check "+tokenField+"."), true
	default:
		what := "an error"
		if refused.code != "" {
			what = "the error " + refused.code
		}
		return p.warning("The provider refused the check with "+what+", which does not tell whether it accepts the client.",
			cannotTell, "Sign in once to see; if it fails, check "+p.where("tokenAuth")+"."), true
	}
}

// mendOfTrouble says what to do about an endpoint that does not answer. A preset's is right.
func mendOfTrouble(field, endpoint, ofPreset string) string {
	if endpoint == ofPreset {
		return "Check that this machine reaches " + hostOf(endpoint) + ": its network, DNS and firewall."
	}
	return "Check " + field + ", and that this machine reaches " + hostOf(endpoint) + "."
}

// endpointFrom names what decides an endpoint: the plugin's own value, or what chooses among the preset's.
func (p *Plugin) endpointFrom(field, endpoint, ofPreset string) string {
	switch {
	case endpoint != ofPreset:
		return p.where(field)
	case p.Tenant != "":
		return p.where("tenant")
	default:
		return p.where("provider")
	}
}

// get asks an address and returns the status; body may be nil. Its error is that of [relay.ask].
func (r *relay) get(ctx context.Context, address string, body *string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	status, content, err := r.ask(request)
	if body != nil {
		*body = string(content)
	}
	return status, err
}

// trouble says what is wrong with whom no whole answer came from. It is blank if one came.
func trouble(err error) string {
	lookup, _ := errors.AsType[*net.DNSError](err)
	operation, _ := errors.AsType[*net.OpError](err)
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, errTooSlow):
		return fmt.Sprintf("takes longer than %d seconds to answer", int(tokenTimeout.Seconds()))
	case lookup != nil:
		return "has a host name that leads nowhere"
	case untrusted(err):
		return "has a certificate that this machine does not accept"
	case notTLS || errors.Is(err, http.ErrSchemeMismatch) || (operation != nil && strings.HasSuffix(operation.Op, " error")):
		return "answers, but not over TLS as it must with https"
	case operation != nil && (operation.Op == "dial" || operation.Op == "proxyconnect"):
		return "refuses connections, or cannot be reached"
	case operation != nil || errors.Is(err, errBroken):
		return "breaks off its answer"
	default:
		return ""
	}
}

func untrusted(err error) bool {
	_, found := errors.AsType[*tls.CertificateVerificationError](err)
	return found
}

func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// redirectURIFrom names what decides the plugin's redirect URI, and the label of the plugin that it belongs to.
func (d *doctor) redirectURIFrom(p *Plugin) (label, name string) {
	switch {
	case p.RedirectURI != d.config.publicURL()+p.redirectPath():
		return p.label(), p.where("redirectUri")
	case d.config.PublicURL != "":
		return "", "PUBLIC_URL"
	default:
		return "/", "REDIRECT_URI"
	}
}

// checkRedirectURI asks whether the login comes back here.
func (d *doctor) checkRedirectURI(ctx context.Context, own *relay, p *Plugin) (findings []finding) {
	redirectURI, err := url.Parse(p.RedirectURI)
	if err != nil {
		return nil // validate reports it
	}
	public, err := url.Parse(d.config.PublicURL)
	if err == nil && d.config.PublicURL != "" && !strings.EqualFold(public.Hostname(), redirectURI.Hostname()) {
		findings = append(findings, p.failure("The redirect URI is on another host than PUBLIC_URL.", "A login ends elsewhere, and the plugin waits in vain.",
			"Leave "+p.where("redirectUri")+" blank, so that PUBLIC_URL decides."))
	}
	label, name := d.redirectURIFrom(p)
	host := redirectURI.Scheme + "://" + redirectURI.Host
	index := strings.TrimSuffix(strings.TrimSuffix(withoutQuery(p.RedirectURI), "/"), "/redirect")
	var body string
	status, err := own.get(ctx, index, &body)
	line, more, _ := strings.Cut(body, "\n")
	switch {
	case untrusted(err):
		return append(findings, finding{levelWarning, label, "The certificate at " + host + " is not accepted by this machine.",
			"A browser may refuse to finish logins.", "Run mkcert -install, or check TLS_CERT_FILE."})
	case err != nil:
		return append(findings, finding{levelWarning, label, "Nothing answers at " + host + ", where logins end.",
			"If it stays so, nobody can sign in.", "Check that the service is running, and that " + name + " leads here."})
	case status != http.StatusOK || !strings.HasPrefix(line, "plugin-oauth is"):
		return append(findings, finding{levelError, label, "Something else than this service answers at " + host + ", where logins end.",
			"A login ends elsewhere, and the plugin waits in vain.", "Check " + name + "."})
	}
	for _, header := range proxyHeaders {
		if strings.Contains(more, fmt.Sprintf(untrustedLine, header)) {
			findings = append(findings, notBelieved(header))
		}
	}
	return findings
}

func notBelieved(header string) finding {
	return finding{levelWarning, "", "Requests come with the header " + header + ", which the service does not believe.",
		"Behind a proxy all visitors count as one, for the rate limit and for the question whether a login is their own.", "If a proxy of yours sets it on every request, name " + header + " in TRUSTED_PROXY_HEADERS."}
}

// checkFly says so even when the service does not answer.
func (d *doctor) checkFly() []finding {
	const header = "Fly-Client-IP"
	if !d.config.onFly || slices.ContainsFunc(d.config.TrustedProxyHeaders, func(trusted string) bool { return strings.EqualFold(trusted, header) }) {
		return nil
	}
	return []finding{notBelieved(header)}
}

// inTheClear reports whether an address sends what it is sent over a network without encryption.
func inTheClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	address, _ := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || address.Unmap().IsLoopback()
}

func clearFinding(label, name string) finding {
	return finding{levelError, label, "An address has http:// instead of https://.", "The code, the tokens or the client secret travel where others can read them.", "Write https:// in " + name + "."}
}

func (d *doctor) checkPublicURL() []finding {
	if inTheClear(d.config.PublicURL) {
		return []finding{clearFinding("", "PUBLIC_URL")}
	}
	return nil
}

// checkEncryption wants https wherever a secret travels over a network.
func (d *doctor) checkEncryption(p *Plugin) (findings []finding) {
	if inTheClear(p.RedirectURI) {
		findings = append(findings, clearFinding(d.redirectURIFrom(p)))
	}
	for field, endpoint := range p.endpoints() {
		if inTheClear(endpoint) {
			findings = append(findings, clearFinding(p.label(), p.where(field)))
		}
	}
	return findings
}

// endpoints yields those of the provider with their fields, in the order of the form.
func (p *Plugin) endpoints() func(yield func(field, endpoint string) bool) {
	return func(yield func(field, endpoint string) bool) {
		_ = yield("authorizeEndpoint", p.AuthorizeEndpoint) && yield("tokenEndpoint", p.TokenEndpoint) && yield("revokeEndpoint", p.RevokeEndpoint)
	}
}

// checkOrigins says whether the published plugin may call.
func (p *Plugin) checkOrigins() []finding {
	redirectURI, err := url.Parse(p.RedirectURI)
	if err != nil || isLoopback(redirectURI.Hostname()) || p.PluginID != "" || len(p.AllowedOrigins) > 0 {
		return nil
	}
	return []finding{p.warning("The plugin may call from localhost only.", "The published plugin cannot sign anybody in.",
		"Set "+p.where("pluginId")+" to the id of the published plugin.")}
}

// checkRefreshToken says what the provider must be asked for to give a refresh token.
func (p *Plugin) checkRefreshToken() (findings []finding) {
	row, found := p.likelyPreset()
	if !found {
		return nil
	}
	const what, why = "The login asks for no refresh token.", "People must sign in again when the access token has expired."
	scopes := strings.FieldsFunc(p.Scope, func(r rune) bool { return r == ' ' || r == ',' })
	if row.RefreshScope != "" && !slices.Contains(scopes, row.RefreshScope) {
		findings = append(findings, p.warning(what, why, "Add "+row.RefreshScope+" to "+p.where("scope")+"."))
	}
	_, query, _ := strings.Cut(p.AuthorizeEndpoint, "?")
	inEndpoint, _ := url.ParseQuery(query)
	params, _ := url.ParseQuery(p.AuthorizeParams)
	ofPreset, _ := url.ParseQuery(row.AuthorizeParams)
	for _, name := range []string{"access_type", "token_access_type"} {
		if ofPreset.Get(name) != "offline" || inEndpoint.Get(name) == "offline" || params.Get(name) == "offline" {
			continue
		}
		mend := "Put " + name + "=offline into " + p.where("authorizeParams") + "."
		if inEndpoint.Has(name) {
			mend = "Put " + name + "=offline into " + p.where("authorizeEndpoint") + "."
		} else if p.Provider == "" && !params.Has(name) {
			mend = "Set " + p.where("provider") + " to " + row.Name + ", which adds " + name + "=offline."
		}
		findings = append(findings, p.warning(what, why, mend))
	}
	return findings
}

// likelyPreset returns the preset that a plugin names. One that comes from another backend has endpoints only; the token
// endpoint tells whose it is.
func (p *Plugin) likelyPreset() (preset, bool) {
	if p.Provider != "" {
		return findPreset(p.Provider)
	}
	i := slices.IndexFunc(presets, func(row preset) bool {
		if row.Tenant == nil {
			return p.TokenEndpoint == row.TokenEndpoint
		}
		before, after, _ := strings.Cut(row.TokenEndpoint, row.Tenant.placeholder())
		name, hasBefore := strings.CutPrefix(p.TokenEndpoint, before)
		name, hasAfter := strings.CutSuffix(name, after)
		return hasBefore && hasAfter && name != "" && !strings.Contains(name, "/")
	})
	if i < 0 {
		return preset{}, false
	}
	return presets[i], true
}

func (p *Plugin) checkHubSpot(now time.Time) []finding {
	if strings.TrimSuffix(withoutQuery(p.TokenEndpoint), "/") != hubSpotV1 {
		return nil
	}
	f := p.warning("HubSpot ends this token endpoint on 2027-02-16.", "From then on nobody can sign in, or stay signed in.",
		"Leave "+p.where("tokenEndpoint")+" blank, with "+p.name("provider")+" set to hubspot.")
	if !now.Before(hubSpotV1Ends) {
		f.Level, f.What, f.Why = levelError, "HubSpot has ended this token endpoint on 2027-02-16.", whyNobody
	}
	return []finding{f}
}

// checkDataDir tries to write. A folder that is missing is made by serve, so then the folder around it is tried.
func (d *doctor) checkDataDir() (findings []finding) {
	folder := d.dataDir
	for folder != filepath.Dir(folder) {
		if _, err := os.Stat(folder); err == nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	file, err := os.CreateTemp(folder, "doctor-")
	if err == nil {
		err = errors.Join(file.Close(), os.Remove(file.Name()))
	}
	const why, mend = "The service cannot start, or cannot take logins.", "Choose another folder with --dir, or change its owner."
	switch {
	case err != nil && folder == d.dataDir:
		findings = append(findings, finding{levelError, "", "The data folder " + d.dataDir + " is not writable.", why, mend})
	case err != nil:
		findings = append(findings, finding{levelWarning, "", "The data folder " + d.dataDir + " is missing, and cannot be made.", why, mend})
	}
	bytes, known := d.freeSpace(folder)
	if !known || bytes >= littleSpace {
		return findings
	}
	level := levelWarning
	if bytes < tooLittleSpace {
		level = levelError
	}
	return append(findings, finding{level, "", fmt.Sprintf("The disk with the data folder has only %d MB left.", bytes>>20),
		"When it is full, no login can begin.", "Make room, or choose a folder on another disk with --dir."})
}

// clock compares this machine's clock with the Date header of every answer that passes (RFC 9110 section 6.6.1).
type clock struct {
	transport http.RoundTripper

	mu       sync.Mutex
	measured bool
	off      time.Duration // the smallest that any answer allows; positive: this clock is ahead
}

// RoundTrip sends a request.
func (c *clock) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := time.Now()
	response, err := c.transport.RoundTrip(request)
	if err == nil && response.Header.Get("Age") == "" { // an answer from a cache has an old date
		if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			c.measure(sent, time.Now(), date)
		}
	}
	return response, err
}

// measure notes a difference. The answer was made in the second of its date, at some instant between both times here.
func (c *clock) measure(sent, received, date time.Time) {
	off := max(0, sent.Sub(date.Add(time.Second))) + min(0, received.Sub(date))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.measured || off.Abs() < c.off.Abs() {
		c.measured, c.off = true, off
	}
}

func (c *clock) check() []finding {
	if c.off.Abs() <= clockTolerance {
		return nil
	}
	direction := "behind"
	if c.off > 0 {
		direction = "ahead"
	}
	return []finding{{levelWarning, "", fmt.Sprintf("The clock of this machine is %s %s.", c.off.Abs().Round(10*time.Second), direction),
		"Certificates may count as expired, and the times in the dashboard are wrong.", "Set the clock of the machine, best by NTP."}}
}

// checkAtStart makes the same checks once the service listens, and says what they find. It ends with the service.
// Plugins that cannot be used were named by then.
func (r *relay) checkAtStart() {
	defer func() {
		if recovered := recover(); recovered != nil {
			r.log.Error("the check at start failed", "cause", panicCause(recovered).Error())
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-r.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	select {
	case <-time.After(checkAfter):
	case <-ctx.Done():
		return
	}
	dashboard, err := r.plugins.all()
	if err != nil {
		r.log.Warn("the check at start failed", "cause", err.Error())
		return
	}
	usable := maps.Clone(dashboard)
	maps.DeleteFunc(usable, func(_ string, p *Plugin) bool { return p.closed != nil })
	findings := newDoctor(r.config, usable, r.app.DataDir()).examine(ctx)
	if ctx.Err() != nil {
		return // its requests were broken off
	}
	for _, f := range findings {
		r.log.Warn(f.What, "plugin", f.Plugin, "why", f.Why, "mend", f.Mend)
	}
}

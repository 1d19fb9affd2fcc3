package testkit

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// ProxyKind is one of the proxies of docs/proxies.md.
type ProxyKind string

// The proxies, by the names of their blocks in the page.
const (
	Nginx   ProxyKind = "nginx"
	Caddy   ProxyKind = "caddy"
	HAProxy ProxyKind = "haproxy"
	Apache  ProxyKind = "apache"
)

// ProxyKinds are all of them.
var ProxyKinds = []ProxyKind{Nginx, Caddy, HAProxy, Apache}

// proxyHost is what backend.example of the page is in tests: it leads to this machine.
const proxyHost = "backend.localhost"

// Proxy is a proxy in front of a service, as docs/proxies.md configures it.
type Proxy struct {
	// URL is where the world reaches the service, such as https://backend.localhost:1234/oauth.
	URL string

	// Kind is which proxy it is.
	Kind ProxyKind

	// Client reaches the proxy by the host of the URL, and everything else as usual. It returns redirects
	// instead of following them.
	Client *http.Client

	t       testing.TB
	command *Command
	blocks  []string
	below   string
}

// NewProxy chooses the address of a proxy, which is not started yet. below is blank, or /oauth for the blocks
// that share a host. The test is skipped on a machine without the program, and fails there with
// PROXY_TEST=required.
func NewProxy(t testing.TB, kind ProxyKind, below string) *Proxy {
	t.Helper()
	path, err := findProxy(kind)
	if err != nil {
		Missing(t, "PROXY_TEST", fmt.Sprintf("%s is not installed", kind))
	}
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	p := &Proxy{
		URL:     "https://" + proxyHost + ":" + port + below,
		Client:  NewClient(),
		t:       t,
		Kind:    kind,
		command: &Command{Path: path, Dir: dir, Address: address, Output: &Printed{}},
		blocks:  proxyBlocks(t, kind),
		below:   below,
	}
	transport := p.Client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		if strings.HasPrefix(to, proxyHost) {
			to = address
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	t.Cleanup(p.Client.CloseIdleConnections)
	return p
}

// program is what Debian calls a proxy's program and its folder of logs.
func (k ProxyKind) program() string {
	if k == Apache {
		return "apache2"
	}
	return string(k)
}

// findProxy returns the path of a proxy's program.
func findProxy(kind ProxyKind) (path string, err error) {
	if path, err = exec.LookPath(kind.program()); err != nil {
		path, err = exec.LookPath("/usr/sbin/" + kind.program())
	}
	return path, err
}

// Start starts the proxy in front of a service at an address. It runs until the test ends. edits are pairs of
// a text in the page's configuration, and what stands there instead.
func (p *Proxy) Start(upstream string, edits ...string) {
	p.t.Helper()
	_, port, _ := net.SplitHostPort(p.command.Address)
	site := p.site()
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(site, edits[i]) {
			p.t.Fatalf("the configuration has no %q:\n%s", edits[i], site)
		}
		site = strings.ReplaceAll(site, edits[i], edits[i+1])
	}
	site = strings.NewReplacer(
		"127.0.0.1:8787", upstream,
		"listen 443", "listen "+p.command.Address,
		"bind :443", "bind "+p.command.Address,
		"*:443", p.command.Address,
		"/etc/ssl/backend.example.key", p.command.Dir+"/both.pem",
		"/etc/ssl/backend.example.pem", p.command.Dir+"/both.pem",
		"/var/log/"+p.Kind.program(), p.command.Dir,
		"backend.example {", proxyHost+":"+port+" {",
		"backend.example", proxyHost,
	).Replace(site)
	config := filepath.Join(p.command.Dir, "proxy.cfg")
	p.write(config, p.around(site))
	p.write(filepath.Join(p.command.Dir, "both.pem"), certificate(p.t))
	p.command.Env = append(os.Environ(), "HOME="+p.command.Dir, "XDG_DATA_HOME="+p.command.Dir,
		"XDG_CONFIG_HOME="+p.command.Dir)
	p.command.Args = map[ProxyKind][]string{
		Nginx:   {"-c", config, "-e", "stderr"},
		Caddy:   {"run", "--adapter", "caddyfile", "--config", config},
		HAProxy: {"-db", "-f", config},
		Apache:  {"-f", config, "-DFOREGROUND"},
	}[p.Kind]
	p.t.Cleanup(func() { p.command.Terminate() })
	if err := p.command.Start(); err != nil {
		p.t.Fatalf("%v\n%s", err, p.Logged())
	}
	p.awaitTLS()
}

// awaitTLS waits until the proxy has its certificate: Caddy makes its own, some time after it listens.
func (p *Proxy) awaitTLS() {
	p.t.Helper()
	var err error
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var response *http.Response
		if response, err = p.Client.Head(p.URL + "/"); err == nil {
			response.Body.Close()
			return
		}
	}
	p.t.Fatalf("%v\n%s", err, p.Logged())
}

// TrustedHeader is the header that docs/proxies.md has the service trust.
func (p *Proxy) TrustedHeader() string {
	if p.Kind == Nginx {
		return "X-Real-IP"
	}
	return "X-Forwarded-For"
}

// Logged is all that the proxy has logged and printed.
func (p *Proxy) Logged() string {
	logged := p.command.Output.(*Printed).String()
	files, _ := filepath.Glob(filepath.Join(p.command.Dir, "*.log"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		logged += string(content)
	}
	return logged
}

func (p *Proxy) write(path, content string) {
	p.t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// proxyBlocks returns a proxy's blocks of docs/proxies.md, in their order.
func proxyBlocks(t testing.TB, kind ProxyKind) (blocks []string) {
	t.Helper()
	root := "." // a test runs in the folder of its package
	for range 3 {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Join(root, "..")
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "proxies.md"))
	if err != nil {
		t.Fatal(err)
	}
	fenced := regexp.MustCompile("(?ms)^```" + string(kind) + "\n(.*?)^```$")
	for _, match := range fenced.FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

// What the blocks for a path stand in place of.
var (
	nginxLocation = regexp.MustCompile(`(?ms)^\tlocation / \{.*?^\t\}\n`)
	caddyProxy    = regexp.MustCompile(`(?ms)^\treverse_proxy .*?^\t\}\n`)
	haproxyChoice = regexp.MustCompile(`(?ms)^\tdefault_backend .*`)
	apachePass    = regexp.MustCompile(`(?m)^\tProxyPass .*\n`)
)

// site is the page's configuration, below the path if there is one.
func (p *Proxy) site() string {
	instead := func(place *regexp.Regexp, block string) string {
		if len(place.FindAllString(p.blocks[0], -1)) != 1 {
			p.t.Fatalf("there is not one %v in\n%s", place, p.blocks[0])
		}
		return place.ReplaceAllLiteralString(p.blocks[0], block)
	}
	switch {
	case p.below == "" && p.Kind == Apache:
		return p.blocks[1] + p.blocks[0] // the workers
	case p.below == "":
		return p.blocks[0]
	case p.Kind == Nginx:
		return p.blocks[1] + instead(nginxLocation, p.blocks[2])
	case p.Kind == Caddy:
		return instead(caddyProxy, p.blocks[1])
	case p.Kind == HAProxy:
		return instead(haproxyChoice, p.blocks[1])
	default:
		return p.blocks[1] + instead(apachePass, p.blocks[2])
	}
}

// around puts what Debian's own files have around a site, so that it runs in one folder and without root.
func (p *Proxy) around(site string) string {
	dir := p.command.Dir
	switch p.Kind {
	case Nginx:
		var paths strings.Builder
		for _, name := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&paths, "%s_temp_path %s/%s;\n", name, dir, name)
		}
		return "daemon off;\nmaster_process off;\npid " + dir + "/nginx.pid;\nevents {}\nhttp {\n" +
			paths.String() + site + "}\n"
	case Caddy:
		return strings.Replace(site, "{\n", "{\nadmin off\nskip_install_trust\n"+
			"auto_https disable_redirects\ndefault_bind 127.0.0.1\ngrace_period 1s\n"+
			"servers {\nprotocols h1 h2\n}\n", 1)
	case Apache:
		var modules strings.Builder
		for _, name := range []string{
			"mpm_event", "authz_core", "proxy", "proxy_http", "socache_shmcb", "ssl",
		} {
			fmt.Fprintf(&modules, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", name)
		}
		return "ServerRoot " + dir + "\nDefaultRuntimeDir " + dir + "\nPidFile apache.pid\n" +
			"ErrorLog error.log\nServerName localhost\nListen " + p.command.Address + " https\n" +
			modules.String() + "User www-data\nGroup www-data\n" + site
	default:
		return site
	}
}

// certificate returns a new certificate for the proxy's host, with its key, as PEM.
func certificate(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{proxyHost},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

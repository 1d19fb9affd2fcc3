package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"plugin-oauth/internal/testkit"
)

// The admin of the service.
const (
	adminEmail    = "admin@plugin.example"
	adminPassword = "correct horse battery staple"
)

// server is the program under siege, with a data folder of its own.
type server struct {
	command *testkit.Command
	url     string
	client  *http.Client
	apiCall string // the path at which the service calls the provider's API
}

// dataFolder is the name of the data folder.
const dataFolder = "pb_data"

// start starts the program on an empty folder, with the environment that fly.toml gives it. More variables
// may follow.
func (s *siege) start(more ...string) (*server, error) {
	dir, err := os.MkdirTemp(s.dir, "service")
	if err != nil {
		return nil, err
	}
	return s.startIn(dir, more...)
}

// startIn does the same in a folder whose data folder may have data.
func (s *siege) startIn(dir string, more ...string) (*server, error) {
	address, err := testkit.FreeAddress()
	if err != nil {
		return nil, err
	}
	metrics, err := testkit.FreeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 200
	one := &server{
		url:     "http://" + address,
		apiCall: "/fetch/" + s.provider.apiHost() + apiPath,
		client: &http.Client{
			CheckRedirect: testkit.ShowRedirects,
			Transport:     transport,
			Timeout:       time.Minute,
		},
		command: &testkit.Command{
			Args:    []string{"serve", "--http", address, "--dir", filepath.Join(dir, dataFolder)},
			Dir:     dir,
			Address: address,
			Output:  log,
			Env:     append(s.environment("http://"+address), append(more, "METRICS_ADDR="+metrics)...),
		},
	}
	if err := one.command.Start(); err != nil {
		printed, readErr := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, printed), readErr)
	}
	return one, nil
}

func (s *siege) environment(base string) []string {
	return []string{
		"TRUSTED_PROXY_HEADERS=Fly-Client-IP",
		"GOMEMLIMIT=175MiB",
		"CLIENT_ID=siege",
		"CLIENT_SECRET=secret",
		"REDIRECT_URI=" + base + "/redirect",
		"SCOPE=read",
		"PLUGIN_ID=siege",
		"API_HOSTS=http://" + s.provider.apiHost(),
		"AUTHORIZE_ENDPOINT=" + s.provider.url + "/authorize",
		"TOKEN_ENDPOINT=" + s.provider.url + "/token",
		"SUPERUSER_EMAIL=" + adminEmail,
		"SUPERUSER_PASSWORD=" + adminPassword,
	}
}

func (s *server) stop() {
	s.client.CloseIdleConnections()
	s.command.Terminate()
}

// dataDir is the folder that must not fill up.
func (s *server) dataDir() string { return filepath.Join(s.command.Dir, dataFolder) }

// resident is the memory of the process in MB of 2^20 bytes, or nil where there is no /proc.
func (s *server) resident() *float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.PID()))
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return new(kilobytes / 1024)
		}
	}
	return nil
}

// sizeOf returns the size of a folder's files with these names, or of all its files, in MB of 2^20 bytes.
func sizeOf(dir string, names ...string) (megabytes float64, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || len(names) > 0 && !slices.Contains(names, entry.Name()) {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // SQLite removes files, too
		}
		if err == nil {
			megabytes += float64(info.Size()) / (1 << 20)
		}
		return err
	})
	return megabytes, err
}

package cluster

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// askTime bounds a question to another machine.
const askTime = time.Second

// maxAnswer bounds what another machine may answer, in bytes.
const maxAnswer = 64 << 10

// answer is what a machine says of itself. At most one of its fields is set.
type answer struct {
	// blank is set if the machine has no data.
	blank *blank
	// running is set if it is a member of a cluster.
	running *running
	// err says why it said nothing, in words for the admin.
	err error
}

// running is a cluster, as one of its members knows it.
type running struct {
	clusterID string
	members   []knownMember
}

// knownMember is a member of a cluster.
type knownMember struct {
	ID       uint64   `json:"id"`
	PeerURLs []string `json:"peerURLs"`
	Name     string   `json:"name"` // empty if it has never run

	// IsLearner says that it is being filled, and does not vote.
	IsLearner bool `json:"isLearner"`
}

// asker asks the other machines.
type asker struct {
	config Config
	client *http.Client
}

func newAsker(config Config, identity *identity) *asker {
	return &asker{config: config, client: &http.Client{
		Timeout: askTime,
		Transport: &http.Transport{
			TLSClientConfig:     identity.tlsConfig(),
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     10 * askTime,
		},
	}}
}

// all asks all other machines at the same time, and returns their answers by their names.
func (a *asker) all(ctx context.Context) map[string]answer { return a.each(ctx, a.ask) }

// blank is all for those that have no data. Of others it says only that they have some.
func (a *asker) blank(ctx context.Context) map[string]answer { return a.each(ctx, a.askBlank) }

// nobody has the answer that the machines cannot be found.
const nobody = ""

func (a *asker) each(
	ctx context.Context, ask func(ctx context.Context, name string) answer,
) map[string]answer {
	answers := map[string]answer{}
	if err := a.config.look(ctx); err != nil {
		answers[nobody] = answer{err: fmt.Errorf("the machines cannot be found: %w", err)}
		return answers
	}
	var mu sync.Mutex
	var done sync.WaitGroup
	for _, name := range a.config.others() {
		done.Go(func() {
			answered := ask(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			answers[name] = answered
		})
	}
	done.Wait()
	return answers
}

// ask asks one machine: first as one without data, and if it is not, as a member.
func (a *asker) ask(ctx context.Context, name string) answer {
	said := a.askBlank(ctx, name)
	if !errors.Is(said.err, errNotFound) {
		return said
	}
	running, err := a.members(ctx, name)
	if err != nil {
		return answer{err: a.explain(name, err)}
	}
	return answer{running: running}
}

// askBlank asks one machine as one without data. If it has some, the error is an errNotFound.
func (a *asker) askBlank(ctx context.Context, name string) answer {
	body, _, err := a.get(ctx, name, blankPath)
	said := &blank{}
	if err == nil {
		err = json.Unmarshal(body, said)
	}
	if err != nil {
		return answer{err: a.explain(name, err)}
	}
	return a.check(name, said)
}

// members asks a member for its cluster.
func (a *asker) members(ctx context.Context, name string) (*running, error) {
	body, header, err := a.get(ctx, name, "/members")
	if err != nil {
		return nil, err
	}
	said := &running{clusterID: header.Get("X-Etcd-Cluster-ID")}
	return said, json.Unmarshal(body, &said.members)
}

// check returns the answer of a machine without data, if it is the one that was asked.
func (a *asker) check(name string, said *blank) answer {
	switch {
	case said.Machines != a.config.list() && a.config.Find != nil:
		return answer{err: fmt.Errorf("%s finds other machines: %s here, and %s there; wait until both find "+
			"the same", name, a.config.list(), said.Machines)}
	case said.Machines != a.config.list():
		return answer{err: fmt.Errorf("%s has another CLUSTER: %s here, and %s there; make them equal",
			name, a.config.list(), said.Machines)}
	case said.Name != name:
		return answer{err: fmt.Errorf("the machine at %s is called %s: set CLUSTER_NAME=%s there",
			a.config.machines()[name], said.Name, name)}
	}
	return answer{blank: said}
}

var errNotFound = errors.New("it does not know the path")

func (a *asker) get(ctx context.Context, name, path string) ([]byte, http.Header, error) {
	at := a.config.url(name)
	return a.getURL(ctx, at.String()+path)
}

func (a *asker) getURL(ctx context.Context, at string) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, nil, err
	case response.StatusCode == http.StatusNotFound:
		return nil, nil, errNotFound
	case response.StatusCode != http.StatusOK:
		return nil, nil, errors.New("it answers " + response.Status)
	}
	return body, response.Header, nil
}

// explain says why a machine cannot be asked.
func (a *asker) explain(name string, err error) error {
	where := name + " (" + a.config.machines()[name] + ")"
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return fmt.Errorf("the clock of %s, or of this machine, is wrong by a day or more: set it", where)
	case isAboutCertificate(err):
		return fmt.Errorf("%s has another CLUSTER_SECRET: make it the same on each machine", where)
	}
	if request, isRequest := errors.AsType[*url.Error](err); isRequest {
		err = request.Err // without an address that nobody has typed
	}
	return fmt.Errorf("%s cannot be reached: %w", where, err)
}

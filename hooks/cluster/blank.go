package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// blankPath is where a machine without data says so. etcd, which listens there later, does not know the path.
const blankPath = "/plugin-oauth/blank"

// blank is what a machine without data says of itself.
//
// The first start must not make two clusters, and a machine that has lost its disk must not vote again in the
// cluster that it was a member of. So the cluster's id is made from nonces that the machines have made for
// this start only. Whoever finds that a cluster has this id knows that it was made of this very process,
// which has never voted.
type blank struct {
	Name     string `json:"name"`
	Machines string `json:"machines"`
	// Nonce is new in each process.
	Nonce string `json:"nonce"`
	// Agreed is the token of the cluster that can be made, as this machine sees it: all others have no data,
	// and these are their nonces. It is empty until all have answered.
	Agreed string `json:"agreed"`
}

// entrance says how a machine without data becomes a member.
type entrance struct {
	// token is that of the new cluster. It is empty if there is a cluster.
	token string
	// running is the cluster that has made room for this machine.
	running *running
}

// agreement is how a machine without data finds its cluster.
type agreement struct {
	config Config
	nonce  string

	mu     sync.Mutex
	agreed []string // tokens; the last one counts, but others may have used one before
}

// agree serves what this machine is, and asks the others, until it can become a member.
func agree(ctx context.Context, config Config, identity *identity, ask *asker) (entrance, error) {
	a := &agreement{config: config, nonce: rand.Text()}
	listener, err := net.Listen("tcp", config.listenAddress())
	if err != nil {
		return entrance{}, err
	}
	server := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: askTime,
		IdleTimeout:       10 * askTime,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes of strangers
	}
	go server.Serve(tls.NewListener(listener, identity.tlsConfig()))
	defer server.Close()
	waiting := newReminder(config.Log)
	for {
		answers := ask.all(ctx)
		if entrance, found := a.consider(answers); found {
			return entrance, nil
		}
		for name, said := range answers {
			if said.running != nil {
				answers[name] = answer{err: fmt.Errorf("%s has a cluster, and no place in it for this "+
					"machine yet: %s", name, config.whenThereIsRoom())}
			}
		}
		waiting.remind("this machine has no data, and waits for the others", answers)
		select {
		case <-time.After(askTime / 10):
		case <-ctx.Done():
			return entrance{}, ctx.Err()
		}
	}
}

// ServeHTTP says that this machine has no data.
func (a *agreement) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != blankPath {
		http.NotFound(w, r)
		return
	}
	a.mu.Lock()
	said := blank{Name: a.config.Name, Machines: a.config.list(), Nonce: a.nonce, Agreed: a.last()}
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(said)
}

// last returns the token that counts. The caller holds the lock.
func (a *agreement) last() string {
	if len(a.agreed) == 0 {
		return ""
	}
	return a.agreed[len(a.agreed)-1]
}

// consider returns how this machine becomes a member, if the answers of the others say that it can.
func (a *agreement) consider(answers map[string]answer) (found entrance, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	nonces := map[string]string{a.config.Name: a.nonce}
	for name, said := range answers {
		switch {
		case said.blank != nil:
			nonces[name] = said.blank.Nonce
		case said.running != nil:
			for _, token := range a.agreed {
				if a.config.clusterID(token) == said.running.clusterID {
					return entrance{token: token}, true
				}
			}
			if said.running.hasRoomFor(a.config) {
				return entrance{running: said.running}, true
			}
		}
	}
	if count := len(a.config.machines()); count != a.config.Size() || len(nonces) < count {
		return entrance{}, false
	}
	token := tokenOf(nonces)
	if a.last() != token {
		a.agreed = append(a.agreed, token)
	}
	for _, said := range answers {
		if said.blank.Agreed != token {
			return entrance{}, false
		}
	}
	return entrance{token: token}, true
}

// tokenOf returns the token of the cluster that machines with these nonces make.
func tokenOf(nonces map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(nonces)) {
		all = append(all, name+"="+nonces[name])
	}
	sum := sha256.Sum256([]byte(strings.Join(all, ",")))
	return hex.EncodeToString(sum[:])
}

// hasRoomFor reports whether the cluster has a member at the address of this machine that has never run.
func (r *running) hasRoomFor(config Config) bool {
	return slices.ContainsFunc(r.members, func(member knownMember) bool {
		return member.Name == "" && config.nameOf(member.PeerURLs) == config.Name
	})
}

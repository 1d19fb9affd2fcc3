// Package rotation lets one of several machines redeem a refresh token, and gives the provider's answer to
// those that ask with the same one meanwhile, or a moment later. To a provider that rotates refresh tokens, a
// second request would look like a stolen token (RFC 9700 section 4.14.2).
//
// A key in etcd, r/ and a hash, says who redeems a token. The answer stands in its value, sealed under a key
// that is derived from the old refresh token: only who has that can open it. etcd's locks and leases are not
// used.
package rotation

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"plugin-oauth/internal/etcdtry"
)

// Hash names a token. The store keeps no other form of one.
type Hash [sha256.Size]byte

// Answer is a provider's answer to a refresh.
type Answer struct {
	// Tokens is the token response.
	Tokens []byte
	// Rotated says that the old refresh token can no longer be used. Only then the answer is kept.
	Rotated bool
	// About are the tokens in the response, and the one that they replace, for [Store.Forget].
	About []Hash
}

// Options are the settings of a [Store].
type Options struct {
	// Kept is how long an answer is given again.
	Kept time.Duration
	// Busy is how long a machine may take to redeem a token. Later another asks the provider: the first one
	// has died. Zero means 12 seconds.
	Busy time.Duration
	// Patience is how long etcd may take before this machine goes on alone. Zero means 2 seconds.
	Patience time.Duration
	// Now is the clock. If it is nil, it is [time.Now].
	Now func() time.Time
	// Log is told when this machine has to go on alone. It must bound what is repeated.
	Log *slog.Logger
}

// Store is the answers that machines share. Make it with [New]. It is safe for concurrent use.
type Store struct {
	kv      etcdtry.KV
	watcher clientv3.Watcher
	options Options
}

// New returns the store that a client finds.
func New(client *clientv3.Client, options Options) *Store {
	if options.Busy == 0 {
		options.Busy = 12 * time.Second
	}
	if options.Patience == 0 {
		options.Patience = 2 * time.Second
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Store{kv: etcdtry.KV{KV: client.KV}, watcher: client.Watcher, options: options}
}

const (
	// keys is what the keys of the answers begin with.
	keys = "r/"

	// aboutKeys is what the keys begin with that say which answers are about a token: f/, the token's hash,
	// /, and that of the answer's key. Anybody may send tokens to revoke, so no answer is looked through for
	// one.
	aboutKeys = "f/"

	// maxAbout bounds the tokens that an answer can be found by. Those of providers have three, and the one
	// that they replace; etcd takes 128 operations at a time.
	maxAbout = 20
)

// maxShared bounds an answer that is shared, in bytes: many times what providers send.
const maxShared = 64 << 10

// record is the value of a key.
type record struct {
	// By is the nonce of the request that wrote it.
	By string `json:"by"`
	// Until is when it can go, in milliseconds since 1970.
	Until int64 `json:"until"`
	// Sealed is the answer; nil as long as a machine waits for the provider.
	Sealed []byte `json:"sealed,omitempty"`
	About  []Hash `json:"about,omitempty"`
}

// place is a key as it was at a revision. Zero: there is none.
type place struct {
	record
	revision int64
}

// Do returns the answer to a refresh token, with the hash of it, its client and its tenant. It calls redeem,
// which asks the provider, unless another call did so not long ago, on this machine or another. If the other
// machine takes too long, or if etcd cannot be asked, it calls redeem all the same: otherwise people would be
// signed out for a fault of ours. Nothing cancels it: a provider that is asked uses the token up.
func (s *Store) Do(
	ctx context.Context, hash Hash, refreshToken string, redeem func() (Answer, error),
) ([]byte, error) {
	ctx = context.WithoutCancel(ctx)
	sealing := newSealing(hash, refreshToken)
	hasWaited := false // and so knows that an answer is new, whatever the clocks of the machines say
	for present := (place{}); ; {
		taken, isOurs, err := s.take(ctx, hash, present.revision)
		if err != nil {
			return s.alone(err, redeem)
		}
		if isOurs {
			return s.redeem(ctx, hash, sealing, taken, redeem)
		}
		switch {
		case s.options.Now().UnixMilli() >= taken.Until && taken.Sealed != nil && !hasWaited:
			present = taken // it is old, and is replaced
		case taken.Sealed != nil:
			tokens, err := sealing.open(taken.Sealed)
			if err != nil {
				return s.alone(err, redeem)
			}
			return tokens, nil
		default:
			present = place{}
			if hasWaited = s.await(ctx, hash, taken.revision); !hasWaited {
				present = taken // its machine has died
			}
		}
	}
}

// alone asks the provider though others may do so too.
func (s *Store) alone(cause error, redeem func() (Answer, error)) ([]byte, error) {
	s.options.Log.Warn("a refresh went on without the other machines", "cause", cause.Error())
	answer, err := redeem()
	return answer.Tokens, err
}

// redeem asks the provider, and shares its answer.
func (s *Store) redeem(
	ctx context.Context, hash Hash, sealing sealing, own place, ask func() (Answer, error),
) ([]byte, error) {
	answer, err := ask()
	then := []clientv3.Op{clientv3.OpDelete(hash.key())}
	if err == nil && answer.Rotated && len(answer.Tokens) <= maxShared && len(answer.About) <= maxAbout {
		until := s.options.Now().Add(s.options.Kept).UnixMilli()
		shared := record{By: own.By, Until: until, Sealed: sealing.seal(answer.Tokens), About: answer.About}
		then = []clientv3.Op{clientv3.OpPut(hash.key(), shared.encode())}
		for _, token := range distinct(answer.About) {
			then = append(then, clientv3.OpPut(hash.keyAbout(token), record{Until: until}.encode()))
		}
	}
	if err := s.replace(ctx, hash, own.revision, then); err != nil {
		s.options.Log.Warn("the answer to a refresh is not shared with the other machines",
			"cause", err.Error())
	}
	return answer.Tokens, err
}

// take makes this call the one that redeems a token, if the key is as it was at a revision. Otherwise it
// returns what the key has become.
func (s *Store) take(ctx context.Context, hash Hash, revision int64) (present place, isOurs bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Patience)
	defer cancel()
	own := record{By: rand.Text(), Until: s.options.Now().Add(s.options.Busy).UnixMilli()}
	for {
		response, err := s.kv.Transact(ctx, unchanged(hash, revision),
			[]clientv3.Op{clientv3.OpPut(hash.key(), own.encode())},
			[]clientv3.Op{clientv3.OpGet(hash.key())})
		if etcdtry.IsFinal(err) {
			return place{}, false, err
		}
		if err != nil {
			continue
		}
		if response.Succeeded {
			return place{record: own, revision: response.Header.Revision}, true, nil
		}
		kvs := response.Responses[0].GetResponseRange().Kvs
		if len(kvs) == 0 {
			revision = 0
			continue
		}
		present = place{revision: kvs[0].ModRevision}
		if err := json.Unmarshal(kvs[0].Value, &present.record); err != nil {
			return place{}, false, err
		}
		return present, present.By == own.By && present.Sealed == nil, nil
	}
}

// replace does something with a key that is as it was at a revision. If it is not, nothing happens: another
// machine has taken it, or the answer of etcd to an earlier try was lost.
func (s *Store) replace(ctx context.Context, hash Hash, revision int64, then []clientv3.Op) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Patience)
	defer cancel()
	for {
		_, err := s.kv.Transact(ctx, unchanged(hash, revision), then, nil)
		if err == nil || etcdtry.IsFinal(err) {
			return err
		}
	}
}

func unchanged(hash Hash, revision int64) []clientv3.Cmp {
	return []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(hash.key()), "=", revision)}
}

// await waits until a key may have changed. It returns false if that takes too long. How long that is, this
// process measures itself, since the clocks of two machines differ.
func (s *Store) await(ctx context.Context, hash Hash, revision int64) (inTime bool) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Busy)
	defer cancel()
	<-s.watcher.Watch(ctx, hash.key(), clientv3.WithRev(revision+1))
	return ctx.Err() == nil
}

// Forget removes the answers about a token, which was revoked.
func (s *Store) Forget(ctx context.Context, token Hash) error {
	about := aboutKeys + token.text() + "/"
	response, err := s.kv.Get(ctx, about, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	for _, kv := range response.Kvs {
		var hash Hash
		if err := hash.UnmarshalText(kv.Key[len(about):]); err != nil {
			continue // it is none of ours
		}
		if err := s.forget(ctx, hash, token); err != nil {
			return err
		}
	}
	return nil
}

// forget removes an answer, if it is still about a token.
func (s *Store) forget(ctx context.Context, hash, token Hash) error {
	response, err := s.kv.Get(ctx, hash.key())
	if err != nil || len(response.Kvs) == 0 {
		return err
	}
	var found record
	err = json.Unmarshal(response.Kvs[0].Value, &found)
	if err != nil || !slices.Contains(found.About, token) {
		return nil // it is another one by now
	}
	_, err = s.kv.Transact(ctx, unchanged(hash, response.Kvs[0].ModRevision),
		[]clientv3.Op{clientv3.OpDelete(hash.key())}, nil)
	return err
}

// followAgainAfter is how long to wait if the other machines cannot be followed.
const followAgainAfter = time.Second

// Follow reports until the context ends which answers are no longer given, by the hashes that [Store.Do] has
// for them: one of their tokens was revoked on some machine, or they are old. So whoever keeps answers
// besides can forget them.
func (s *Store) Follow(ctx context.Context, gone func(Hash)) {
	for ctx.Err() == nil {
		for response := range s.watcher.Watch(ctx, keys, clientv3.WithPrefix(), clientv3.WithFilterPut()) {
			for _, event := range response.Events {
				var hash Hash
				if hash.UnmarshalText(bytes.TrimPrefix(event.Kv.Key, []byte(keys))) == nil {
					gone(hash)
				}
			}
		}
		select {
		case <-time.After(followAgainAfter):
		case <-ctx.Done():
		}
	}
}

// Sweep removes what is no longer given. Any number of machines may do so.
func (s *Store) Sweep(ctx context.Context) error {
	return errors.Join(s.sweep(ctx, keys), s.sweep(ctx, aboutKeys))
}

// step bounds what one request reads.
const step = 100

// sweep is Sweep for the keys with a prefix.
func (s *Store) sweep(ctx context.Context, prefix string) error {
	// A clock of another machine may differ. What is old is not given anyway.
	old := s.options.Now().Add(-s.options.Busy).UnixMilli()
	end := clientv3.GetPrefixRangeEnd(prefix)
	for from := prefix; ; {
		response, err := s.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(step))
		if err != nil {
			return err
		}
		for _, kv := range response.Kvs {
			var found record // one that cannot be read goes, too
			if err := json.Unmarshal(kv.Value, &found); err == nil && found.Until >= old {
				continue
			}
			key := string(kv.Key)
			_, err := s.kv.Transact(ctx,
				[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(key), "=", kv.ModRevision)},
				[]clientv3.Op{clientv3.OpDelete(key)}, nil)
			if err != nil {
				return err
			}
		}
		if !response.More {
			return nil
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
}

// distinct returns hashes without those that repeat others.
func distinct(hashes []Hash) []Hash {
	compare := func(a, b Hash) int { return bytes.Compare(a[:], b[:]) }
	return slices.Compact(slices.SortedFunc(slices.Values(hashes), compare))
}

func (h Hash) text() string { return hex.EncodeToString(h[:]) }

func (h Hash) key() string { return keys + h.text() }

// keyAbout is the key that says that the answer at key is about a token.
func (h Hash) keyAbout(token Hash) string { return aboutKeys + token.text() + "/" + h.text() }

// MarshalText makes the hash readable in JSON.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText reverses MarshalText.
func (h *Hash) UnmarshalText(text []byte) error {
	decoded, err := hex.DecodeString(string(text))
	if err == nil {
		copy(h[:], decoded)
	}
	return err
}

func (r record) encode() string {
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings, bytes and numbers can always be encoded
	}
	return string(encoded)
}

// sealing seals the answer to one refresh token.
type sealing struct {
	aead cipher.AEAD
	hash Hash
}

func newSealing(hash Hash, refreshToken string) sealing {
	key, err := hkdf.Key(sha256.New, []byte(refreshToken), nil, "plugin-oauth refresh answer", 32)
	if err != nil {
		panic(err) // no length that is too long was asked for
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key has a length that AES has
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of the length that GCM needs
	}
	return sealing{aead: aead, hash: hash}
}

func (s sealing) seal(tokens []byte) []byte { return s.aead.Seal(nil, nil, tokens, s.hash[:]) }

func (s sealing) open(sealed []byte) ([]byte, error) {
	return s.aead.Open(nil, nil, sealed, s.hash[:])
}

package session

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxKeyLength bounds a state or read key that a stranger sends. Ours have 52 characters; nothing else relies
// on their form, so that one day they may begin with the id of the machine that owns the session.
const maxKeyLength = 256

// TimeLength is the length of a [TimePrefix].
const TimeLength = 9

// keyLength is the length of a state and of a read key: a time and a random part.
const keyLength = TimeLength + 43

// newKey returns a state or a read key: the time in 9 characters, and 256 bits from the system's random
// source in 43. All are URL-safe.
func newKey(now time.Time) string {
	random := make([]byte, 32)
	rand.Read(random) // It never fails: see crypto/rand.Read.
	return TimePrefix(now) + base64.RawURLEncoding.EncodeToString(random)
}

// newID returns the id of a session in PocketBase's form, 15 characters of a-z and 0-9. It begins with the
// time.
func newID(now time.Time) string {
	return TimePrefix(now) + strings.ToLower(rand.Text()[:15-TimeLength])
}

// TimePrefix is how the id of a session that begins now, and the hashes of its state and its read key, begin.
// It sorts by time, to the millisecond, so that rows from the same time are side by side in each index, and
// many starts write few pages.
func TimePrefix(now time.Time) string {
	return strconv.FormatInt(now.UnixMilli(), 32)
}

// keyHash is the only form in which a state or a read key is stored: SHA-256, after the time of the key. A
// key of another form, as versions before 2026-12 made them, has no time.
func keyHash(key string) []byte {
	hash := make([]byte, 0, TimeLength+sha256.Size)
	if len(key) == keyLength {
		hash = append(hash, key[:TimeLength]...)
	}
	sum := sha256.Sum256([]byte(key))
	return append(hash, sum[:]...)
}

// The ways of a key exchange (RFC 9180 section 7.1). Sessions have P-256, which costs a quarter less than
// X25519 does in Go. Versions before 2026-12 had X25519, and their logins are still finished.
var (
	kemP256   = hpke.DHKEM(ecdh.P256())
	kemX25519 = hpke.DHKEM(ecdh.X25519())
)

// keyPair derives the session's key pair from the read key (RFC 9180 section 7.1.3).
// Whoever holds the read key holds the private key; the table holds the public key only.
func keyPair(readKey string) (hpke.PrivateKey, error) {
	return kemP256.DeriveKeyPair([]byte(readKey))
}

// sealing seals and opens the tokens of one session.
type sealing struct {
	sessionID string
}

// x25519Length is the length of a public key of X25519, in bytes. One of P-256 has 65.
const x25519Length = 32

// seal encrypts a token response so that only the read key opens it (RFC 9180, base mode).
// It is bound to its session: a sealed response that is moved to another row does not open.
func (s sealing) seal(publicKey, tokens []byte) ([]byte, error) {
	kem := kemP256
	if len(publicKey) == x25519Length {
		kem = kemX25519
	}
	recipient, err := kem.NewPublicKey(publicKey)
	if err != nil {
		return nil, err
	}
	return hpke.Seal(recipient, hpke.HKDFSHA256(), hpke.AES256GCM(), s.info(), tokens)
}

// uncompressed is the first byte of a public key of P-256 (SEC 1 section 2.3.3). Sealed tokens begin with
// one.
const uncompressed = 4

// open reverses seal.
func (s sealing) open(readKey string, sealed []byte) ([]byte, error) {
	kems := []hpke.KEM{kemX25519}
	if len(sealed) > 0 && sealed[0] == uncompressed { // as one in 256 keys of X25519 has it, too
		kems = []hpke.KEM{kemP256, kemX25519}
	}
	var errs []error
	for _, kem := range kems {
		private, err := kem.DeriveKeyPair([]byte(readKey))
		if err != nil {
			return nil, err
		}
		tokens, err := hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), s.info(), sealed)
		if err == nil {
			return tokens, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (s sealing) info() []byte {
	return []byte("plugin-oauth tokens " + s.sessionID)
}

// codeVerifier derives the PKCE code verifier (RFC 7636 section 4.1) from the state and the session's public
// key. The state is not in the database and the public key is not in any URL, so neither alone yields the
// verifier. And whoever swaps the public key in the database, to have the tokens sealed to another key,
// changes the verifier: the provider then refuses the code.
func codeVerifier(state string, publicKey []byte) string {
	mac := hmac.New(sha256.New, []byte(state))
	mac.Write([]byte("plugin-oauth code verifier"))
	mac.Write(publicKey)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// networkMAC is the only form in which a client's network is stored. Only a holder of the state, which the
// database does not have, can tell whether two are the same.
func networkMAC(state string, network netip.Prefix) []byte {
	mac := hmac.New(sha256.New, []byte(state))
	mac.Write([]byte("plugin-oauth client network " + network.String()))
	return mac.Sum(nil)
}

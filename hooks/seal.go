package hooks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"time"
)

// maxKeyLength bounds a state or read key that a stranger sends. Ours have 52 characters; nothing else about
// their form is relied on, so that one day they may carry the id of the machine that owns the session in front.
const maxKeyLength = 256

// newKey returns a state or a read key: the time in 9 characters, and 256 bits from the system's random source in 43.
// All are URL-safe.
func newKey() string {
	random := make([]byte, 32)
	rand.Read(random) // It never fails: see crypto/rand.Read.
	return timePrefix() + base64.RawURLEncoding.EncodeToString(random)
}

const keyLength, timeLength = 9 + 43, 9

// timePrefix sorts by time, to the millisecond. What is stored under it stands side by side in the database, so that many
// starts write few pages of each index.
func timePrefix() string {
	return strconv.FormatInt(time.Now().UnixMilli(), 32)
}

// keyHash is the only form in which a state or a read key is stored: SHA-256, after the time of the key. A key that is not
// of our form, as versions before 2026-12 made them, has no time.
func keyHash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	if len(key) != keyLength {
		return sum[:]
	}
	return append([]byte(key[:timeLength]), sum[:]...)
}

// keyPair derives the session's X25519 key pair from the read key (RFC 9180 section 7.1.3).
// Whoever holds the read key holds the private key; the database holds the public key only.
func keyPair(readKey string) (hpke.PrivateKey, error) {
	return hpke.DHKEM(ecdh.X25519()).DeriveKeyPair([]byte(readKey))
}

// sealTokens encrypts a token response so that only the read key opens it (RFC 9180, base mode).
// It is bound to its session: a sealed response that is moved to another row does not open.
func sealTokens(publicKey []byte, sessionID string, tokens []byte) ([]byte, error) {
	recipient, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(publicKey)
	if err != nil {
		return nil, err
	}
	return hpke.Seal(recipient, hpke.HKDFSHA256(), hpke.AES256GCM(), sealInfo(sessionID), tokens)
}

// openTokens reverses [sealTokens].
func openTokens(readKey, sessionID string, sealed []byte) ([]byte, error) {
	private, err := keyPair(readKey)
	if err != nil {
		return nil, err
	}
	return hpke.Open(private, hpke.HKDFSHA256(), hpke.AES256GCM(), sealInfo(sessionID), sealed)
}

func sealInfo(sessionID string) []byte {
	return []byte("plugin-oauth tokens " + sessionID)
}

// codeVerifier derives the PKCE code verifier (RFC 7636 section 4.1) from the state and the session's public key.
// The state is not in the database and the public key is not in any URL, so neither alone yields the verifier.
// And who swaps the public key in the database to have the tokens sealed to himself spoils the verifier:
// the provider then refuses the code.
func codeVerifier(state string, publicKey []byte) string {
	mac := hmac.New(sha256.New, []byte(state))
	mac.Write([]byte("plugin-oauth code verifier"))
	mac.Write(publicKey)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// networkMAC is the only form in which a client's network is stored. Only who has the state, which the database does not
// hold, can tell whether two are the same.
func networkMAC(state string, network netip.Prefix) []byte {
	mac := hmac.New(sha256.New, []byte(state))
	mac.Write([]byte("plugin-oauth client network " + network.String()))
	return mac.Sum(nil)
}

// encryptionKeyLength is the length of an encryption key, in bytes: AES-256.
const encryptionKeyLength = 32

// howToMakeKey is said wherever a key is missing or has the wrong length.
const howToMakeKey = "make one with: openssl rand -base64 24"

// sealSecret encrypts a client secret with AES-256-GCM: a random nonce, then the ciphertext. It is bound to its record and to
// where it is sent: a sealed secret that is moved to another row does not open, nor does one whose row was changed behind
// the service's back to send it elsewhere.
func sealSecret(encryptionKey, recordID, destination, secret string) ([]byte, error) {
	gcm, err := secretCipher(encryptionKey)
	if err != nil {
		return nil, err
	}
	return gcm.Seal(nil, nil, []byte(secret), secretData(recordID, destination)), nil
}

// openSecret reverses [sealSecret]. It fails if the key, the record, the destination or the sealed secret is another.
func openSecret(encryptionKey, recordID, destination string, sealed []byte) (string, error) {
	gcm, err := secretCipher(encryptionKey)
	if err != nil {
		return "", err
	}
	secret, err := gcm.Open(nil, nil, sealed, secretData(recordID, destination))
	return string(secret), err
}

func secretCipher(encryptionKey string) (cipher.AEAD, error) {
	if len(encryptionKey) != encryptionKeyLength {
		return nil, errors.New("the encryption key must have 32 characters")
	}
	block, err := aes.NewCipher([]byte(encryptionKey))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func secretData(recordID, destination string) []byte {
	return []byte("plugin-oauth client secret " + recordID + "\n" + destination)
}

package hooks

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// maxKeyLength bounds a state or read key that a stranger sends. Ours have 43 characters; nothing else about
// their form is relied on, so that one day they may carry the id of the machine that owns the session in front.
const maxKeyLength = 256

// newKey returns 256 bits from the system's random source as 43 URL-safe characters: a state or a read key.
func newKey() string {
	random := make([]byte, 32)
	rand.Read(random) // It never fails: see crypto/rand.Read.
	return base64.RawURLEncoding.EncodeToString(random)
}

// keyHash is the only form in which a state or a read key is stored.
func keyHash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
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

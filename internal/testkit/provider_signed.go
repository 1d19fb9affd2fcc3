package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"time"

	"plugin-oauth/hooks/oauth"
)

// The ids that stand in the signed client secrets of each [Provider]'s client.
const (
	TeamID = "TEAM123456"
	KeyID  = "KEY1234567"
)

// maxSecretLife is how long a signed client secret may live, in seconds: about six months.
const maxSecretLife = 15_777_000

var signingKey = sync.OnceValues(func() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
})

// SigningKey returns the key that signs the client secrets, as the content of a .p8 file.
func SigningKey() (string, error) {
	key, err := signingKey()
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

// checkSigned checks a client secret that is a JWT: see [oauth.SignedSecret].
func checkSigned(secret string, wanted oauth.SignedSecret) error {
	signed, signature, _ := cutLast(secret, ".")
	header, claims, _ := strings.Cut(signed, ".")
	var parts struct {
		Alg, Kid, Iss, Sub, Aud string
		Iat, Exp                int64
	}
	for _, part := range []string{header, claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || json.Unmarshal(decoded, &parts) != nil {
			return errors.New("the client secret is no JWT")
		}
	}
	bytes, err := base64.RawURLEncoding.DecodeString(signature)
	key, keyErr := signingKey()
	if err != nil || keyErr != nil || len(bytes) != 64 {
		return errors.New("the client secret has no signature of 64 bytes")
	}
	digest, now := sha256.Sum256([]byte(signed)), time.Now().Unix()
	r, s := new(big.Int).SetBytes(bytes[:32]), new(big.Int).SetBytes(bytes[32:])
	switch {
	case parts.Alg != "ES256" || !ecdsa.Verify(&key.PublicKey, digest[:], r, s):
		return errors.New("the client secret has a wrong signature")
	case parts.Kid != KeyID || parts.Iss != TeamID || parts.Sub != ClientID || parts.Aud != wanted.Audience:
		return errors.New("the client secret is somebody else's")
	case parts.Iat == 0 || parts.Iat > now:
		return errors.New("the client secret is not valid yet")
	case parts.Exp <= now:
		return errors.New("the client secret has expired")
	case parts.Exp > now+maxSecretLife:
		return errors.New("the client secret lives too long")
	}
	return nil
}

// cutLast is [strings.Cut] at the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

package plugins

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"strings"

	"plugin-oauth/hooks/oauth"
)

// EncryptionKeyLength is the length of an encryption key, in bytes: AES-256.
const EncryptionKeyLength = 32

// HowToMakeKey is said wherever a key is missing or has the wrong length.
const HowToMakeKey = "make one with: openssl rand -base64 24"

// secretOwner is what a sealed client secret is bound to. One that is moved to another row does not open, nor
// does one whose row was changed behind the service's back to send it elsewhere.
type secretOwner struct {
	recordID    string
	destination string // where the admin has it sent
}

func (p *Plugin) secretOwner() secretOwner {
	return secretOwner{recordID: p.RecordID, destination: p.destination()}
}

// destination is where the admin has the client secret sent: to a provider that is known, or to hosts of his
// own. It holds what is entered, so that a preset may change with a new version.
func (p *Plugin) destination() string {
	parts := []string{p.Provider, p.Tenant}
	for _, endpoint := range []string{p.TokenEndpoint, p.RevokeEndpoint} {
		parts = append(parts, oauth.HostOf(endpoint))
	}
	return strings.Join(parts, "\n")
}

// seal encrypts a client secret with AES-256-GCM: a random nonce, then the ciphertext.
func (o secretOwner) seal(key encryptionKey, secret string) ([]byte, error) {
	gcm, err := key.cipher()
	if err != nil {
		return nil, err
	}
	return gcm.Seal(nil, nil, []byte(secret), o.associatedData()), nil
}

// open reverses seal. It fails if the key, the record, the destination or the sealed secret is another.
func (o secretOwner) open(key encryptionKey, sealed []byte) (string, error) {
	gcm, err := key.cipher()
	if err != nil {
		return "", err
	}
	secret, err := gcm.Open(nil, nil, sealed, o.associatedData())
	return string(secret), err
}

func (o secretOwner) associatedData() []byte {
	return []byte("plugin-oauth client secret " + o.recordID + "\n" + o.destination)
}

// encryptionKey is the value of ENCRYPTION_KEY. Blank: there is none.
type encryptionKey string

func (k encryptionKey) cipher() (cipher.AEAD, error) {
	if len(k) != EncryptionKeyLength {
		return nil, errors.New("the encryption key must have 32 characters")
	}
	block, err := aes.NewCipher([]byte(k))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

package plugins

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"strings"
	"unicode/utf8"

	"plugin-oauth/hooks/oauth"
)

// EncryptionKeyLength is the length of an encryption key, in bytes: AES-256.
const EncryptionKeyLength = 32

// HowToMakeKey is shown wherever a key is missing or has the wrong length.
const HowToMakeKey = "make one with: openssl rand -base64 24"

// IsGuessable reports whether an encryption key is one character over and over again.
func IsGuessable(key string) bool {
	_, size := utf8.DecodeRuneInString(key)
	return key != "" && strings.ReplaceAll(key, key[:size], "") == ""
}

// secretBinding is what a sealed client secret is bound to. A secret that is moved to another row does not
// open, nor does one whose row was changed behind the service's back to send it elsewhere.
type secretBinding struct {
	recordID    string
	destination string // where the admin has it sent
}

func (p *Plugin) binding() secretBinding {
	return secretBinding{recordID: p.RecordID, destination: p.destination()}
}

// destination is where the admin has the client secret sent: to a preset's provider, or to hosts that the
// admin entered. It has only what was entered, so that a new version may change a preset.
func (p *Plugin) destination() string {
	parts := []string{p.Provider, p.Tenant}
	for _, endpoint := range []string{p.TokenEndpoint, p.RevokeEndpoint} {
		parts = append(parts, oauth.HostOf(endpoint))
	}
	return strings.Join(parts, "\n")
}

// seal encrypts a client secret with AES-256-GCM: a random nonce, then the ciphertext.
func (b secretBinding) seal(key encryptionKey, secret string) ([]byte, error) {
	gcm, err := key.cipher()
	if err != nil {
		return nil, err
	}
	return gcm.Seal(nil, nil, []byte(secret), b.associatedData()), nil
}

// open reverses seal. It fails if the key, the record, the destination or the sealed secret is not the same.
func (b secretBinding) open(key encryptionKey, sealed []byte) (string, error) {
	gcm, err := key.cipher()
	if err != nil {
		return "", err
	}
	secret, err := gcm.Open(nil, nil, sealed, b.associatedData())
	return string(secret), err
}

func (b secretBinding) associatedData() []byte {
	return []byte("plugin-oauth client secret " + b.recordID + "\n" + b.destination)
}

// encryptionKey is the value of ENCRYPTION_KEY, which may be blank.
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

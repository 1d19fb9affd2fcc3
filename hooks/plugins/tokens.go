package plugins

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"

	"plugin-oauth/hooks/oauth"
)

// Tokens says what a plugin gets in place of the provider's tokens.
type Tokens string

const (
	// TokensPlain gives the plugin the provider's tokens as they are.
	TokensPlain Tokens = "plain"
	// TokensSealed gives the plugin tokens that only this service can open.
	TokensSealed Tokens = "sealed"
)

// sealedPrefix is what a sealed token begins with. The rest is base64url: a nonce, then the ciphertext.
const sealedPrefix = "sealed."

// ErrNotSealed says that a token was not sealed for this plugin and its present client, is not of the kind
// that is asked for, or was sealed under another key.
var ErrNotSealed = errors.New("the token does not open")

// SealTokens returns a token response for the plugin. With [TokensSealed] each of its tokens is encrypted
// with AES-256-GCM, under a key derived from the encryption key (HKDF, RFC 5869), and bound to the plugin
// with its client and to the kind of the token. Nothing is stored for it.
func (p *Plugin) SealTokens(response []byte) ([]byte, error) {
	if p.Tokens != TokensSealed {
		return response, nil
	}
	return oauth.ReplaceTokens(response, func(kind oauth.TokenKind, value []byte) (string, error) {
		if len(p.tokenKeys) == 0 {
			return "", errNoTokenKey
		}
		sealed := p.tokenKeys[0].Seal(nil, nil, value, p.tokenBinding(kind))
		return sealedPrefix + base64.RawURLEncoding.EncodeToString(sealed), nil
	})
}

var errNoTokenKey = errors.New("there is no key to seal tokens with")

// OpenToken returns the provider's token for one that the plugin sends. Without [TokensSealed] that is the
// same. It fails with [ErrNotSealed].
func (p *Plugin) OpenToken(kind oauth.TokenKind, token string) (string, error) {
	if p.Tokens != TokensSealed {
		return token, nil
	}
	value, err := p.openValue(kind, token)
	return oauth.TokenText(value), err
}

// openValue returns a sealed token as the provider has written it in JSON.
func (p *Plugin) openValue(kind oauth.TokenKind, token string) ([]byte, error) {
	encoded, hasPrefix := strings.CutPrefix(token, sealedPrefix)
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if !hasPrefix || err != nil {
		return nil, ErrNotSealed
	}
	for _, key := range p.tokenKeys {
		if value, err := key.Open(nil, nil, sealed, p.tokenBinding(kind)); err == nil {
			return value, nil
		}
	}
	return nil, ErrNotSealed
}

// tokenBinding is what a sealed token is bound to. It has only what the admin entered, so that a new version
// may change a preset and nobody has to sign in again.
func (p *Plugin) tokenBinding(kind oauth.TokenKind) []byte {
	return []byte(strings.Join([]string{string(kind), p.RecordID, p.Slug, p.ClientID}, "\n"))
}

// tokenKeys seal with the first, and open with any.
type tokenKeys []cipher.AEAD

func newTokenKeys(defaults Defaults) (keys tokenKeys) {
	for _, secret := range []string{defaults.EncryptionKey, defaults.OldEncryptionKey} {
		if secret == "" {
			continue
		}
		if key, err := newTokenKey(secret); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// newTokenKey derives a key of its own, so that what is sealed here is never taken for a client secret.
func newTokenKey(secret string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "plugin-oauth sealed tokens", EncryptionKeyLength)
	if err != nil {
		return nil, err
	}
	return encryptionKey(key).cipher()
}

func (p *Plugin) validateTokens(errs *oauth.FieldErrors) {
	sealed := p.Tokens == TokensSealed
	errs.Check("tokens", sealed || p.Tokens == TokensPlain, "must be plain or sealed")
	errs.Check("tokens", !sealed || len(p.tokenKeys) > 0, "cannot be sealed: the service runs without "+
		"ENCRYPTION_KEY. Set it in the environment or in .env and start again; "+HowToMakeKey)
	errs.Check("tokens", !sealed || len(p.APIHosts) > 0, "cannot be sealed while "+p.WhereElse("apiHosts")+
		" is blank: a sealed token works only at the hosts that it lists")
}

package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// SignedSecret is how a provider wants a client secret that is made anew for each request: a JWT (RFC 7519)
// that is signed with ES256 (RFC 7518 section 3.4), as Sign in with Apple has it.
type SignedSecret struct {
	// Audience is the claim aud: whom the JWT is for.
	Audience string `json:"audience"`
}

// signedSecretLife is the life of one JWT. It allows for a clock that is wrong.
const signedSecretLife = 10 * time.Minute

var keyIDForm = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// isKeyID reports whether a value looks like Apple's ids of teams and keys.
func isKeyID(id string) bool { return len(id) <= 64 && keyIDForm.MatchString(id) }

var errNotSigningKey = errors.New("the client secret is not a private key for ES256")

// secret is the client secret as it is sent: ClientSecret, or a JWT that is signed with it. It is blank if
// the client is not valid.
func (c *Client) secret() string {
	if c.SignedSecret == nil {
		return c.ClientSecret
	}
	key, err := parseSigningKey(c.ClientSecret)
	if err != nil {
		return "" // Validate reports it
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": c.TeamID, "sub": c.ClientID, "aud": c.SignedSecret.Audience,
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(signedSecretLife).Unix(),
	})
	token.Header["kid"] = c.KeyID
	signed, err := token.SignedString(key)
	if err != nil {
		return ""
	}
	return signed
}

// parseSigningKey reads the content of a .p8 file: PKCS #8 in PEM (RFC 7468 section 10). A form may have
// taken its line breaks away, and a .env file may have them as \n.
func parseSigningKey(pem string) (*ecdsa.PrivateKey, error) {
	_, rest, _ := strings.Cut(pem, "-----BEGIN PRIVATE KEY-----")
	body, _, found := strings.Cut(rest, "-----END PRIVATE KEY-----")
	encoded := strings.Join(strings.Fields(strings.ReplaceAll(body, `\n`, " ")), "")
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !found {
		return nil, errNotSigningKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, isECDSA := parsed.(*ecdsa.PrivateKey)
	if err != nil || !isECDSA || key.Curve != elliptic.P256() {
		return nil, errNotSigningKey
	}
	return key, nil
}

// validateSignedSecret checks what a signed client secret is made of.
func (c *Client) validateSignedSecret(errs *FieldErrors) {
	if c.SignedSecret == nil {
		const fix = "must be blank: the provider wants no signed client secret"
		errs.Check("teamId", c.TeamID == "", fix)
		errs.Check("keyId", c.KeyID == "", fix)
		return
	}
	errs.Check("teamId", isKeyID(c.TeamID),
		"must be set to the id of your team, such as ABCDE12345")
	errs.Check("keyId", isKeyID(c.KeyID),
		"must be set to the id of the key, such as ABC123DEFG")
	_, err := parseSigningKey(c.ClientSecret)
	errs.Check("clientSecret", err == nil, "must be the whole content of the .p8 file that belongs to keyId")
}

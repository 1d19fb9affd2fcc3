package oauth

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// apple is a preset that wants a signed client secret.
var apple = Preset{
	AuthorizeEndpoint: "https://p.example/auth/authorize", TokenEndpoint: "https://p.example/auth/token",
	RevokeEndpoint: "https://p.example/auth/revoke", RevokeKind: RevokeForm,
	SignedSecret: &SignedSecret{Audience: "https://p.example"},
}

// p8 returns a key as the content of a .p8 file.
func p8(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func appleClient(secret string) Client {
	return Client{
		ClientID: "com.example.web", ClientSecret: secret, TeamID: "TEAM123456", KeyID: "KEY1234567",
		RedirectURI: "https://backend.example/redirect",
	}.withPreset(apple).Complete()
}

// Each request has a client secret of its own, which the provider can verify (RFC 7515 section 5.2).
func TestSignedSecret(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	client := appleClient(p8(t, key))
	seen := map[string]bool{}
	provider := func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		secret := form.Get("client_secret")
		if seen[secret] || form.Get("client_id") != "com.example.web" {
			t.Errorf("the secret comes again, or the client is %q", form.Get("client_id"))
		}
		seen[secret] = true
		expectSigned(t, &key.PublicKey, secret)
		answer := io.NopCloser(strings.NewReader(`{"access_token":"x"}`))
		return &http.Response{StatusCode: http.StatusOK, Body: answer}, nil
	}
	endpoint := Endpoint{HTTP: &http.Client{Transport: transport(provider)}}
	_, codeErr := endpoint.Exchange(t.Context(), &client, CodeGrant{Code: "c", Verifier: "v"})
	_, refreshErr := endpoint.Refresh(t.Context(), &client, "RT")
	revokeErr := endpoint.Revoke(t.Context(), &client, Token{Value: "RT"})
	if err := errors.Join(codeErr, refreshErr, revokeErr); err != nil || len(seen) != 3 {
		t.Errorf("%d requests: %v", len(seen), err)
	}
}

// However the client authenticates, the private key stays here.
func TestSigningKeyIsNeverSent(t *testing.T) {
	t.Parallel()
	key := newKey(t, elliptic.P256())
	for _, auth := range []TokenAuth{TokenAuthBody, TokenAuthBasic, TokenAuthBasicSecret} {
		t.Run(string(auth), func(t *testing.T) {
			t.Parallel()
			client := appleClient(p8(t, key))
			client.TokenAuth = auth
			form := url.Values{"code": {"c"}}
			sent := endpointRequest{address: client.TokenEndpoint, form: form}
			request, err := client.authenticatedRequest(t.Context(), sent)
			if err != nil {
				t.Fatal(err)
			}
			secret := form.Get("client_secret")
			if user, password, isBasic := request.BasicAuth(); isBasic {
				secret = cmp.Or(password, user)
			}
			expectSigned(t, &key.PublicKey, secret)
		})
	}
}

func expectSigned(t *testing.T, key *ecdsa.PublicKey, secret string) {
	t.Helper()
	parts := strings.Split(secret, ".")
	if len(parts) != 3 {
		t.Fatalf("it has %d parts", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			t.Fatal(err)
		}
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Sub, Aud string
		Iat, Exp      int64
	}
	headerErr, claimsErr := json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &claims)
	if err := errors.Join(headerErr, claimsErr); err != nil {
		t.Fatal(err)
	}
	if header.Alg != "ES256" || header.Kid != "KEY1234567" || claims.Iss != "TEAM123456" ||
		claims.Sub != "com.example.web" || claims.Aud != "https://p.example" {
		t.Errorf("it has %+v, %+v", header, claims)
	}
	now := time.Now().Unix()
	if claims.Iat > now || claims.Exp <= now || claims.Exp-now > 3600 {
		t.Errorf("it is valid from %d to %d, and now is %d", claims.Iat, claims.Exp, now)
	}
	if len(decoded[2]) != 64 {
		t.Fatalf("the signature has %d bytes", len(decoded[2]))
	}
	r, s := new(big.Int).SetBytes(decoded[2][:32]), new(big.Int).SetBytes(decoded[2][32:])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key, digest[:], r, s) {
		t.Error("the signature is wrong")
	}
}

// The key is read as forms and .env files leave it, and nothing else is taken for one.
func TestSigningKey(t *testing.T) {
	t.Parallel()
	good := p8(t, newKey(t, elliptic.P256()))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		secret string
		good   bool
	}{
		"file":               {secret: good, good: true},
		"with CRLF":          {secret: strings.ReplaceAll(good, "\n", "\r\n"), good: true},
		"in one line":        {secret: strings.ReplaceAll(good, "\n", ""), good: true},
		"with spaces":        {secret: strings.ReplaceAll(good, "\n", " "), good: true},
		"with \\n":           {secret: strings.ReplaceAll(good, "\n", `\n`), good: true},
		"blank":              {},
		"a secret":           {secret: "HIDDEN"},
		"without an end":     {secret: strings.Split(good, "-----END")[0]},
		"cut off":            {secret: strings.Replace(good, "MIG", "", 1)},
		"another curve":      {secret: p8(t, newKey(t, elliptic.P384()))},
		"another algorithm":  {secret: p8(t, rsaKey)},
		"not a private key":  {secret: strings.ReplaceAll(good, "PRIVATE", "PUBLIC")},
		"only its two lines": {secret: "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := appleClient(test.secret)
			errs := FieldErrors(client.Validate())
			if errs.Has("clientSecret") == test.good || (test.good && len(errs) > 0) {
				t.Errorf("got %v", errs)
			}
			for _, err := range errs {
				if strings.Contains(err.Error(), "HIDDEN") {
					t.Errorf("it quotes the secret: %v", err)
				}
			}
			if got := client.secret(); (got != "") != test.good || strings.Contains(got, "PRIVATE") {
				t.Error("another secret is sent")
			}
		})
	}
}

// The ids must be there where a secret is signed, and nowhere else.
func TestSigningIDs(t *testing.T) {
	t.Parallel()
	client := appleClient(p8(t, newKey(t, elliptic.P256())))
	client.TeamID, client.KeyID = "", "a b"
	expectFieldErrors(t, client.Validate(), "teamId must be set to the id of your team\nkeyId must be set")
	client.TeamID, client.KeyID = strings.Repeat("A", 64), strings.Repeat("A", 65)
	expectFieldErrors(t, client.Validate(), "keyId must be set")
	plain := validClient(func(c *Client) { c.TeamID, c.KeyID = "TEAM", "KEY" })
	expectFieldErrors(t, plain.Validate(), "teamId must be blank\nkeyId must be blank")
}

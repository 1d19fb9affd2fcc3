package plugins

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// A sealed secret opens under its key, in its record and for its destination only.
func TestSealedSecret(t *testing.T) {
	t.Parallel()
	binding := secretBinding{recordID: "record", destination: "github"}
	sealed, err := binding.seal(testKey, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("it is not sealed")
	}
	elsewhere := secretBinding{recordID: "record", destination: "https://evil.example"}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, test := range map[string]struct {
		binding secretBinding
		key     encryptionKey
		sealed  []byte
		want    string // blank: it does not open
	}{
		"its own": {binding: binding, key: testKey, sealed: sealed, want: "secret"},
		"another record": {
			binding: secretBinding{recordID: "other", destination: "github"}, key: testKey, sealed: sealed,
		},
		"another host":    {binding: elsewhere, key: testKey, sealed: sealed},
		"another key":     {binding: binding, key: encryptionKey(strings.ToUpper(testKey)), sealed: sealed},
		"no key":          {binding: binding, sealed: sealed},
		"a short key":     {binding: binding, key: encryptionKey(testKey[:16]), sealed: sealed},
		"nothing sealed":  {binding: binding, key: testKey},
		"a bit is turned": {binding: binding, key: testKey, sealed: flipped},
		"cut off":         {binding: binding, key: testKey, sealed: sealed[:10]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.binding.open(test.key, test.sealed)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	again, err := binding.seal(testKey, "secret")
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same nonce is used twice: %v", err)
	}
	if _, err := binding.seal(encryptionKey(testKey[:16]), "secret"); err == nil {
		t.Error("a short key seals")
	}
}

// sealedBefore is testSecret as the previous version sealed it, for sealedBeforePlugin.
const sealedBefore = "25c8a5b1fd171777278a2758fccff77d18ea627d5d8f8b9f943d024a12f0f8b6" +
	"87a4442df5017aa076399ec90b"

var sealedBeforePlugin = Plugin{
	RecordID: "rec0rd",
	Client: oauth.Client{
		Provider: "shopify", Tenant: "mine", RevokeEndpoint: "https://R.example/revoke",
		TokenEndpoint: "https://p.example/token",
	},
}

// What the previous version has sealed opens.
func TestSecretOfVersionBefore(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString(sealedBefore)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sealedBeforePlugin.binding().open(testKey, sealed); err != nil || got != testSecret {
		t.Errorf("got %q, %v", got, err)
	}
}

// A secret is bound to what an admin entered: a provider's name, or the hosts of endpoints.
func TestDestination(t *testing.T) {
	t.Parallel()
	own := New(func(field string) string {
		return map[string]string{
			"tokenEndpoint": "https://P.example/token", "revokeEndpoint": "http://r.example:1/",
			"authorizeEndpoint": "https://a.example", "provider": "GitHub", "tenant": "t",
		}[field]
	})
	if got := own.destination(); got != "github\nt\nhttps://p.example\nhttp://r.example:1" {
		t.Errorf("got %q", got)
	}
}

func TestIsGuessable(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"":                              false,
		testKey:                         false,
		strings.Repeat("a", 32):         true,
		strings.Repeat("ü", 16):         true,
		strings.Repeat("\xff", 32):      true,
		strings.Repeat("a", 31) + "b":   false,
		"b" + strings.Repeat("a", 31):   false,
		strings.Repeat("0123456789", 3): false,
	} {
		if got := IsGuessable(key); got != want {
			t.Errorf("%q: %t", key, got)
		}
	}
}

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
	owner := secretOwner{recordID: "record", destination: "github"}
	sealed, err := owner.seal(testKey, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Error("it is not sealed")
	}
	elsewhere := secretOwner{recordID: "record", destination: "https://evil.example"}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, test := range map[string]struct {
		owner  secretOwner
		key    encryptionKey
		sealed []byte
		want   string // blank: it does not open
	}{
		"its own": {owner: owner, key: testKey, sealed: sealed, want: "secret"},
		"another record": {
			owner: secretOwner{recordID: "other", destination: "github"}, key: testKey, sealed: sealed,
		},
		"another host":    {owner: elsewhere, key: testKey, sealed: sealed},
		"another key":     {owner: owner, key: encryptionKey(strings.ToUpper(testKey)), sealed: sealed},
		"no key":          {owner: owner, sealed: sealed},
		"a short key":     {owner: owner, key: encryptionKey(testKey[:16]), sealed: sealed},
		"nothing sealed":  {owner: owner, key: testKey},
		"a bit is turned": {owner: owner, key: testKey, sealed: flipped},
		"cut off":         {owner: owner, key: testKey, sealed: sealed[:10]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.owner.open(test.key, test.sealed)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	again, err := owner.seal(testKey, "secret")
	if err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same nonce is used twice: %v", err)
	}
	if _, err := owner.seal(encryptionKey(testKey[:16]), "secret"); err == nil {
		t.Error("a short key seals")
	}
}

// sealedBefore is testSecret as the version before sealed it, of sealedBeforeOwner.
const sealedBefore = "25c8a5b1fd171777278a2758fccff77d18ea627d5d8f8b9f943d024a12f0f8b6" +
	"87a4442df5017aa076399ec90b"

var sealedBeforeOwner = Plugin{
	RecordID: "rec0rd",
	Client: oauth.Client{
		Provider: "shopify", Tenant: "mine", RevokeEndpoint: "https://R.example/revoke",
		TokenEndpoint: "https://p.example/token",
	},
}

// What the version before has sealed opens.
func TestSecretOfVersionBefore(t *testing.T) {
	t.Parallel()
	sealed, err := hex.DecodeString(sealedBefore)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := sealedBeforeOwner.secretOwner().open(testKey, sealed); err != nil || got != testSecret {
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

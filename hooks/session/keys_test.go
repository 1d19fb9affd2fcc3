package session

import (
	"crypto/hpke"
	"encoding/hex"
	"net/netip"
	"net/url"
	"regexp"
	"testing"
	"time"
)

var response = []byte("{ \"access_token\":\"AT/1+x==\",\n \"expires_in\": 3599.50 }\n")

// A login that a version before 2026-12 has started is finished in its way.
func TestSealing(t *testing.T) {
	t.Parallel()
	for name, kem := range map[string]hpke.KEM{"P-256": kemP256, "X25519": kemX25519} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSealing(t, kem)
		})
	}
}

func testSealing(t *testing.T, kem hpke.KEM) {
	readKey, state := newKey(time.Now()), newKey(time.Now())
	private, err := kem.DeriveKeyPair([]byte(readKey))
	if err != nil {
		t.Fatal(err)
	}
	public := private.PublicKey().Bytes()
	sealer := sealing{sessionID: "session"}
	sealed, err := sealer.seal(public, response)
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := sealer.open(readKey, sealed); err != nil || string(opened) != string(response) {
		t.Errorf("opened %q, %v", opened, err)
	}
	if _, err := (sealing{sessionID: "other session"}).open(readKey, sealed); err == nil {
		t.Error("tokens open in another session")
	}
	if _, err := sealer.open(newKey(time.Now()), sealed); err == nil {
		t.Error("tokens open with another key")
	}
	if again, _ := sealer.seal(public, response); string(again) == string(sealed) {
		t.Error("sealing is not randomised")
	}
	verifier := codeVerifier(state, public)
	if len(verifier) != 43 || url.QueryEscape(verifier) != verifier {
		t.Errorf("the verifier %q is not of RFC 7636's form", verifier)
	}
	if verifier != codeVerifier(state, public) || verifier == codeVerifier(newKey(time.Now()), public) ||
		verifier == codeVerifier(state, []byte("another")) {
		t.Error("the verifier does not depend on the state and the public key alone")
	}
}

// A key of X25519 may begin as one of P-256 does.
func TestOpenX25519ThatLooksLikeP256(t *testing.T) {
	t.Parallel()
	readKey := newKey(time.Now())
	private, err := kemX25519.DeriveKeyPair([]byte(readKey))
	if err != nil {
		t.Fatal(err)
	}
	sealer := sealing{sessionID: "session"}
	for range 20_000 { // none of them begins so once in 10^33 runs
		sealed, err := sealer.seal(private.PublicKey().Bytes(), response)
		if err != nil {
			t.Fatal(err)
		}
		if sealed[0] != uncompressed {
			continue
		}
		if opened, err := sealer.open(readKey, sealed); err != nil || string(opened) != string(response) {
			t.Errorf("opened %q, %v", opened, err)
		}
		return
	}
	t.Error("no key began so")
}

// Sessions have keys of P-256.
func TestKeyPair(t *testing.T) {
	t.Parallel()
	readKey := newKey(time.Now())
	private, err := keyPair(readKey)
	if err != nil {
		t.Fatal(err)
	}
	public := private.PublicKey().Bytes()
	if len(public) != 65 || public[0] != uncompressed {
		t.Errorf("the public key is %x", public)
	}
}

// What earlier versions stored must still be readable: these are their values.
func TestFormats(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1796000000000)
	if got := newKey(now); len(got) != keyLength || got[:TimeLength] != TimePrefix(now) ||
		url.QueryEscape(got) != got {
		t.Errorf("a key is %q", got)
	}
	form := regexp.MustCompile(`^[a-z0-9]{15}$`)
	if id := newID(now); !form.MatchString(id) || id[:TimeLength] != TimePrefix(now) {
		t.Errorf("an id is %q", id)
	}
	private, err := kemX25519.DeriveKeyPair([]byte("a read key"))
	if err != nil {
		t.Fatal(err)
	}
	public := private.PublicKey().Bytes()
	const key = "1k8sqt400" + "0123456789012345678901234567890123456789012"
	const oldKey = "FBsLbNlzAmil47D52JL94H9VVzN2nOm43dQqnPvW-I0"
	network := netip.MustParsePrefix("192.0.2.0/24")
	for name, test := range map[string]struct {
		got  []byte
		want string
	}{
		"hash of a key": {
			got: keyHash(key),
			want: "316b38737174343030" + // the time
				"ea07bebeb068a13b974b2334da0283e047dc23405c9ba467f91d05ca0312b207",
		},
		"hash of an old key": {
			got:  keyHash(oldKey),
			want: "6b4eecf6eb1491b58ba0c1cf53d55850b391ae3792a2d98ca066a1684bbd116d",
		},
		"public key": {
			got:  public,
			want: "b097eff3358b8fc33fde4a5e2e8705538cc47da74ee0d7fe1b95851118440977",
		},
		"network": {
			got:  networkMAC("a state", network),
			want: "4cae70ed24df2f1192e2a970f7a2e2e309dbd56a850d997f5c8f3389530f1fa3",
		},
	} {
		if got := hex.EncodeToString(test.got); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	const verifier = "lowbJQQDXtnzRNQBn8sGynYxCHJ12WXYtYkSncPzMb8"
	if got := codeVerifier("a state", public); got != verifier {
		t.Errorf("the verifier: %s, want %s", got, verifier)
	}
	sealed, err := hex.DecodeString("245c7209677519bac2ba41062ee71e9b67dcd2abdd97ee0aa36b637a75804e2f" +
		"66e20183a717cfefafbc0ad19e4e91d6da3b9929d537")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := sealing{sessionID: "session"}.open("a read key", sealed)
	if err != nil || string(opened) != "tokens" {
		t.Errorf("opened %q, %v", opened, err)
	}
}

func BenchmarkSealing(b *testing.B) {
	sealer := sealing{sessionID: "session"}
	for b.Loop() {
		readKey := newKey(time.Now())
		private, err := keyPair(readKey)
		if err != nil {
			b.Fatal(err)
		}
		sealed, err := sealer.seal(private.PublicKey().Bytes(), response)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := sealer.open(readKey, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

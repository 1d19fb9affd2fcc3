package cluster

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Machines with one secret have one authority, and accept each other's certificates; others do not.
func TestIdentity(t *testing.T) {
	t.Parallel()
	make := func(secret string) *identity {
		identity, err := newIdentity(secret, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return identity
	}
	one, two, stranger := make(secret), make(secret), make(strings.Repeat("x", minSecret))
	if !bytes.Equal(one.authority.Raw, two.authority.Raw) {
		t.Error("two machines with one secret have different authorities")
	}
	verify := func(who, by *identity) error {
		_, err := who.leaf.Load().Leaf.Verify(x509.VerifyOptions{
			DNSName:   serverName,
			Roots:     by.pool,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		return err
	}
	if err := verify(one, two); err != nil {
		t.Errorf("a machine is refused: %v", err)
	}
	if verify(stranger, one) == nil || verify(one, stranger) == nil {
		t.Error("a machine with another secret is accepted")
	}
}

// The certificate is replaced long before it ends, and not sooner.
func TestRenew(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	identity, err := newIdentity(secret, folder)
	if err != nil {
		t.Fatal(err)
	}
	first, began := identity.leaf.Load(), time.Now()
	for _, step := range []struct {
		after time.Duration
		isNew bool
	}{{after: renewAfter - time.Minute}, {after: renewAfter + time.Minute, isNew: true}} {
		if err := identity.renew(began.Add(step.after)); err != nil {
			t.Fatal(err)
		}
		if isNew := identity.leaf.Load() != first; isNew != step.isNew {
			t.Errorf("after %s it is new: %t", step.after, isNew)
		}
	}
}

// The folder has neither the secret nor the authority's key, and nobody else may read it.
func TestNothingOnDisk(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "tls")
	if _, err := newIdentity(secret, folder); err != nil {
		t.Fatal(err)
	}
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "plugin-oauth cluster authority",
		ed25519.SeedSize)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: others may use it: %v, %v", path, info.Mode(), err)
		}
		if entry.IsDir() {
			return nil
		}
		files++
		content, err := os.ReadFile(path)
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			if bytes.Contains(block.Bytes, seed) || bytes.Contains(block.Bytes, key) {
				t.Errorf("%s has the key of the authority", path)
			}
		}
		if strings.Contains(string(content), secret) {
			t.Errorf("%s has the secret", path)
		}
		return err
	})
	if err != nil || files != 2 {
		t.Errorf("there are %d files: %v", files, err)
	}
}

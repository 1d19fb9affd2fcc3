package cluster

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

// serverName is in the certificate of each machine, whatever its address is.
const serverName = "plugin-oauth"

const (
	// leafLife is how long a certificate of a machine is valid: whoever finds one later in a copy of the
	// data folder can do nothing with it.
	leafLife = 7 * 24 * time.Hour
	// renewAfter is how old a certificate gets.
	renewAfter = 24 * time.Hour
	// maxSkew is by how much the clocks of two machines may differ.
	maxSkew = 24 * time.Hour
)

// identity is how the machines know each other. The key of the certificate authority comes from the secret,
// so it is the same everywhere, and is on no disk. The key of a machine's certificate is made by itself, and
// is in a file, since etcd reads it from there at each handshake.
type identity struct {
	authority    *x509.Certificate
	authorityKey ed25519.PrivateKey
	pool         *x509.CertPool
	folder       string
	leaf         atomic.Pointer[tls.Certificate]
}

func newIdentity(secret, folder string) (*identity, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, "plugin-oauth cluster authority",
		ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	i := &identity{authorityKey: ed25519.NewKeyFromSeed(seed), pool: x509.NewCertPool(), folder: folder}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "plugin-oauth cluster"},
		NotBefore:             time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	encoded, err := x509.CreateCertificate(nil, template, template, i.authorityKey.Public(), i.authorityKey)
	if err != nil {
		return nil, err
	}
	if i.authority, err = x509.ParseCertificate(encoded); err != nil {
		return nil, err
	}
	i.pool.AddCert(i.authority)
	return i, i.renew(time.Now())
}

// The files that etcd reads.
func (i *identity) authorityFile() string { return filepath.Join(i.folder, "authority.pem") }
func (i *identity) leafFile() string      { return filepath.Join(i.folder, "machine.pem") }

// renew makes a new certificate for this machine, if the present one is not new any more.
func (i *identity) renew(now time.Time) error {
	if leaf := i.leaf.Load(); leaf != nil && now.Before(leaf.Leaf.NotAfter.Add(renewAfter-leafLife)) {
		return nil
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		DNSNames:     []string{serverName},
		NotBefore:    now.Add(-maxSkew),
		NotAfter:     now.Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	encoded, err := x509.CreateCertificate(nil, template, i.authority, public, i.authorityKey)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	var file bytes.Buffer
	err = errors.Join(
		pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: encoded}),
		pem.Encode(&file, &pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	if err != nil {
		return err
	}
	leaf, err := tls.X509KeyPair(file.Bytes(), file.Bytes())
	if err != nil {
		return err
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.authority.Raw})
	if err := i.write(i.authorityFile(), authority); err != nil {
		return err
	}
	// Certificate and key are in one file, so that nobody reads a new one with an old one.
	if err := i.write(i.leafFile(), file.Bytes()); err != nil {
		return err
	}
	i.leaf.Store(&leaf)
	return nil
}

// write replaces a file, which is there at any time. An identity without a folder is for questions only.
func (i *identity) write(name string, content []byte) error {
	if i.folder == "" {
		return nil
	}
	if err := os.MkdirAll(i.folder, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// tlsInfo returns the identity for etcd.
func (i *identity) tlsInfo() transport.TLSInfo {
	return transport.TLSInfo{
		CertFile:            i.leafFile(),
		KeyFile:             i.leafFile(),
		TrustedCAFile:       i.authorityFile(),
		ClientCertAuth:      true,
		SkipClientSANVerify: true, // the certificates have no addresses in them
		ServerName:          serverName,
		MinVersion:          tls.VersionTLS13,
	}
}

// tlsConfig returns the identity for both ends of our own connections.
func (i *identity) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: serverName,
		RootCAs:    i.pool,
		ClientCAs:  i.pool,
		ClientAuth: tls.RequireAndVerifyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return i.leaf.Load(), nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return i.leaf.Load(), nil
		},
	}
}

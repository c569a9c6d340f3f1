package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"time"
)

// CA is a private certificate authority for the node ports of one cluster, for
// tests and small set-ups. Its key is the key to the cluster: keep it away from
// the nodes. Keys are ECDSA on P-256.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// clockSkew is how far in the past a certificate begins to be valid, for nodes
// whose clock is behind.
const clockSkew = 5 * time.Minute

// NewCA makes a certificate authority.
func NewCA(name string, validFor time.Duration) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	ca := &CA{key: key, now: time.Now}
	template, err := ca.template(name, validFor)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	ca.cert, err = x509.ParseCertificate(der)
	return ca, err
}

// LoadCA reads what CertPEM and KeyPEM gave.
func LoadCA(certPEM, keyPEM []byte) (*CA, error) {
	c, _ := pem.Decode(certPEM)
	k, _ := pem.Decode(keyPEM)
	if c == nil || c.Type != "CERTIFICATE" || k == nil || k.Type != "EC PRIVATE KEY" {
		return nil, errors.New("certificate authority: want a PEM block CERTIFICATE and a PEM block EC PRIVATE KEY")
	}
	cert, err := x509.ParseCertificate(c.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	key, err := x509.ParseECPrivateKey(k.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if !cert.IsCA || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("certificate authority: want a CA's certificate and its own key")
	}
	return &CA{cert: cert, key: key, now: time.Now}, nil
}

func (ca *CA) template(name string, validFor time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    ca.now().Add(-clockSkew),
		NotAfter:     ca.now().Add(validFor),
	}, nil
}

// CertPEM returns the authority's certificate, which every node needs.
func (ca *CA) CertPEM() []byte { return certPEM(ca.cert.Raw) }

// KeyPEM returns the authority's private key.
func (ca *CA) KeyPEM() ([]byte, error) { return keyPEM(ca.key) }

// Issue makes the certificate and the key of a node. The certificate names the
// node by the URI praetor://node/<id>; hosts, DNS names or IP addresses, are for
// other tools.
func (ca *CA) Issue(nodeID string, hosts []string, validFor time.Duration) (cert, key []byte, err error) {
	if nodeID == "" || len(nodeID) > maxNodeID || strings.ContainsFunc(nodeID, notIDRune) {
		return nil, nil, fmt.Errorf("certificate: got node id %q, want 1 to %d letters, digits, '.', '-' and '_'", nodeID, maxNodeID)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of %s: %w", nodeID, err)
	}
	template, err := ca.template(nodeID, validFor)
	if err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.URIs = []*url.URL{nodeURI(nodeID)}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, private.Public(), ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate of %s: %w", nodeID, err)
	}
	key, err = keyPEM(private)
	return certPEM(der), key, err
}

func nodeURI(id string) *url.URL { return &url.URL{Scheme: "praetor", Host: "node", Path: "/" + id} }

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

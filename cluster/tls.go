package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// TLSConfig secures the node port: TLS 1.3, with certificates of a private CA on
// both sides. A node's certificate names its node id, either as the URI
// praetor://node/<id> or as a DNS name equal to the id; it must be good for
// server and client authentication. The files are read again when they change,
// so certificates are renewed without a restart.
type TLSConfig struct {
	CertFile string // PEM: the node's certificate, then any between it and the CA
	KeyFile  string // PEM: its private key
	CAFile   string // PEM: the CAs whose certificates are accepted
}

// tlsSource is the current content of the files. Connections that are open keep
// the certificates they began with.
type tlsSource struct {
	files TLSConfig
	log   zerolog.Logger

	mu      sync.Mutex
	looked  time.Time
	stamps  [3]fileStamp
	current *tlsMaterial
}

type fileStamp struct {
	modified time.Time
	size     int64
}

type tlsMaterial struct {
	cert  tls.Certificate
	roots *x509.CertPool
}

// tlsLook is how often the files are looked at, at most.
const tlsLook = time.Second

func newTLSSource(files TLSConfig, log zerolog.Logger) (*tlsSource, error) {
	s := &tlsSource{files: files, log: log}
	stamps, err := s.stat()
	if err != nil {
		return nil, fmt.Errorf("node port: %w", err)
	}
	m, err := s.read()
	if err != nil {
		return nil, fmt.Errorf("node port: %w", err)
	}
	s.stamps, s.current, s.looked = stamps, m, time.Now()
	return s, nil
}

func (s *tlsSource) stat() (stamps [3]fileStamp, err error) {
	for i, name := range []string{s.files.CertFile, s.files.KeyFile, s.files.CAFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamps, err
		}
		stamps[i] = fileStamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

func (s *tlsSource) read() (*tlsMaterial, error) {
	cert, err := tls.LoadX509KeyPair(s.files.CertFile, s.files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", s.files.CertFile, s.files.KeyFile, err)
	}
	b, err := os.ReadFile(s.files.CAFile)
	if err != nil {
		return nil, err
	}
	m := &tlsMaterial{cert: cert, roots: x509.NewCertPool()}
	if !m.roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("got no certificate in %s, want those of the cluster's CA", s.files.CAFile)
	}
	return m, nil
}

// material returns what the files hold. Files that cannot be read, or do not fit
// together because they are just being replaced, leave the old in place.
func (s *tlsSource) material() *tlsMaterial {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.looked) < tlsLook {
		return s.current
	}
	s.looked = time.Now()
	stamps, err := s.stat()
	if err == nil && stamps == s.stamps {
		return s.current
	}
	var m *tlsMaterial
	if err == nil {
		m, err = s.read()
	}
	if err != nil {
		s.log.Error().Err(err).Msg("new certificates cannot be used; the old ones stay")
		return s.current
	}
	s.log.Info().Str("file", s.files.CertFile).Msg("certificates read again")
	s.stamps, s.current = stamps, m
	return m
}

// config returns the settings for one connection. The chain is checked here and
// not by crypto/tls, for both sides in the same way: a node is known by its id
// and not by a host name, and the id is known after the handshake frame.
func (s *tlsSource) config(usage x509.ExtKeyUsage) *tls.Config {
	m := s.material()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{m.cert},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection does it
		SessionTicketsDisabled: true,
		VerifyConnection:       func(cs tls.ConnectionState) error { return verifyChain(cs, m.roots, usage) },
	}
}

func verifyChain(cs tls.ConnectionState, roots *x509.CertPool, usage x509.ExtKeyUsage) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("got no certificate from the peer")
	}
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

// namesNode says whether a peer's certificate is that of a node id.
func namesNode(cs tls.ConnectionState, id string) bool {
	if len(cs.PeerCertificates) == 0 {
		return false
	}
	cert := cs.PeerCertificates[0]
	want := nodeURI(id).String()
	for _, u := range cert.URIs {
		if u.String() == want {
			return true
		}
	}
	return slices.Contains(cert.DNSNames, id)
}

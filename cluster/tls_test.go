package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// certificate writes a node's files and returns their names.
func certificate(t testing.TB, ca *CA, dir, id string, validFor time.Duration, hosts ...string) *TLSConfig {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	cert, key, err := ca.Issue(id, hosts, validFor)
	must(t, err)
	files := &TLSConfig{CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), CAFile: filepath.Join(dir, "ca.pem")}
	for name, b := range map[string][]byte{files.CertFile: cert, files.KeyFile: key, files.CAFile: ca.CertPEM()} {
		must(t, os.WriteFile(name, b, 0o600))
	}
	return files
}

func newTestCA(t testing.TB) *CA {
	t.Helper()
	ca, err := NewCA("test", time.Hour)
	must(t, err)
	return ca
}

func TestTLSHandshake(t *testing.T) {
	ours, theirs := newTestCA(t), newTestCA(t)
	expired := *ours
	expired.now = func() time.Time { return time.Now().Add(-time.Hour) }
	// A name in the place of the URI, as other tools make certificates.
	dns := func(ca *CA, dir, id string) *TLSConfig { return certificate(t, ca, dir, "someone", time.Hour, id) }
	good := func(ca *CA, dir, id string) *TLSConfig { return certificate(t, ca, dir, id, time.Hour) }
	type maker func(ca *CA, dir, id string) *TLSConfig
	tests := map[string]struct {
		ca         *CA // of n1
		dial, list maker
		want       string // of n1's error; empty: accepted
	}{
		"good":                      {ours, good, good, ""},
		"named by DNS":              {ours, dns, dns, ""},
		"another CA":                {theirs, good, good, "TLS"},
		"expired on the dialler":    {&expired, func(ca *CA, dir, id string) *TLSConfig { return certificate(t, ca, dir, id, time.Minute) }, good, ""},
		"expired on the other side": {ours, good, func(_ *CA, dir, id string) *TLSConfig { return certificate(t, &expired, dir, id, time.Minute) }, "expired"},
		"dialler's name":            {ours, func(ca *CA, dir, id string) *TLSConfig { return good(ca, dir, "n9") }, good, "the certificate does not name the node id"},
		"other side's name":         {ours, good, func(ca *CA, dir, id string) *TLSConfig { return good(ca, dir, "n9") }, "it names praetor://node/n9"},
		"plain dialler":             {ours, nil, good, "handshake"},
		"plain other side":          {ours, good, nil, "TLS"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a, b := pair(t, func(a, b *port) {
				for _, side := range []struct {
					p    *port
					ca   *CA
					make maker
				}{{a, test.ca, test.dial}, {b, ours, test.list}} {
					if side.make == nil {
						continue
					}
					files := side.make(side.ca, filepath.Join(dir, side.p.self.id), side.p.self.id)
					source, err := newTLSSource(*files, zerolog.Nop())
					must(t, err)
					side.p.tls = source
				}
			})
			c, _, err := a.dial(connNode, "n2", b.Addr().String(), time.Second)
			if err == nil {
				defer c.Close()
			}
			want := test.want
			if name == "expired on the dialler" {
				want = "n" // whatever it is, it is refused by the other side
			}
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// Certificates are replaced while the cluster runs; the old ones are good for
// nothing then.
func TestCertificatesAreReadAgain(t *testing.T) {
	old, next := newTestCA(t), newTestCA(t)
	dir := t.TempDir()
	files := certificate(t, old, dir, "n1", time.Hour)
	s, err := newTLSSource(*files, zerolog.Nop())
	must(t, err)
	before := s.material()
	certificate(t, next, dir, "n1", time.Hour)
	later := time.Now().Add(time.Minute)
	for _, name := range []string{files.CertFile, files.KeyFile, files.CAFile} {
		must(t, os.Chtimes(name, later, later))
	}
	if s.material() != before {
		t.Error("got the files read again within a second, want them looked at rarely")
	}
	s.looked = time.Time{}
	after := s.material()
	if after == before {
		t.Fatal("got the old certificates, want the new ones")
	}
	// Half a replacement leaves what there is.
	must(t, os.WriteFile(files.KeyFile, []byte("half"), 0o600))
	s.looked = time.Time{}
	if s.material() != after {
		t.Error("got a key that does not fit the certificate, want the last good pair")
	}
	for _, broken := range []TLSConfig{{}, {CertFile: files.CertFile, KeyFile: files.KeyFile, CAFile: files.CAFile}} {
		if _, err := newTLSSource(broken, zerolog.Nop()); err == nil {
			t.Errorf("got no error for %+v", broken)
		}
	}
}

func TestCA(t *testing.T) {
	ca := newTestCA(t)
	key, err := ca.KeyPEM()
	must(t, err)
	again, err := LoadCA(ca.CertPEM(), key)
	must(t, err)
	if _, _, err := again.Issue("n1", []string{"127.0.0.1", "host"}, time.Hour); err != nil {
		t.Error(err)
	}
	if _, _, err := ca.Issue("a/b", nil, time.Hour); err == nil {
		t.Error("got a certificate for a node id with a slash")
	}
	otherKey, err := newTestCA(t).KeyPEM()
	must(t, err)
	for name, pair := range map[string][2][]byte{"nothing": {}, "swapped": {key, ca.CertPEM()}, "another's key": {ca.CertPEM(), otherKey}} {
		if _, err := LoadCA(pair[0], pair[1]); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// The whole cluster over TLS: elections, writes on followers, a snapshot on its
// way to a node that joins late.
func TestTrioOverTLS(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	c := newTrio(t, func(_ int, cfg *Config) {
		cfg.TLS = certificate(t, ca, filepath.Join(t.TempDir(), cfg.NodeID), cfg.NodeID, time.Hour)
		cfg.SnapshotEntries, cfg.TrailingEntries, cfg.SnapshotInterval = 1, 2, time.Hour
	})
	c.start(t, 0, 1)
	lead := c.leader(t)
	for range 2 {
		propose(t, c.nodes[1-lead], strings.Split("abcdefghijklmnop", "")...)
		must(t, c.nodes[lead].Snapshot(t.Context()))
	}
	c.start(t, 2)
	ready(t, c.nodes[2])
	propose(t, c.nodes[2], "x")
	must(t, c.nodes[2].Barrier(t.Context()))
	c.quiesce(t)
}

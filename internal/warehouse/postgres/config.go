package postgres

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/warehouse"
)

// Config is what a connection says, but for its password.
type Config struct {
	Host     string `json:"host"`
	Port     uint16 `json:"port,omitempty"` // 5432
	Database string `json:"database"`
	User     string `json:"user"`
	SSLMode  string `json:"sslmode,omitempty"` // verify-full
	// SSLRootCert are PEM certificates that judge the server's; none: the system's.
	SSLRootCert string `json:"sslrootcert,omitempty"`
}

// The modes of TLS, as libpq names them. Its allow and prefer are not here: with
// them whoever is on the way decides that nothing is encrypted.
const (
	Disable    = "disable"     // no TLS; only where the server permits that
	Require    = "require"     // TLS with whoever answers
	VerifyCA   = "verify-ca"   // the certificate must be from a trusted CA
	VerifyFull = "verify-full" // and be the host's
)

const (
	defaultPort  = 5432
	maxText      = 255
	maxRootCerts = 64 << 10
)

// Parse reads a configuration and the password beside it. Its error is a bad
// request that names every field at fault, below path.
func Parse(raw json.RawMessage, path string) (c Config, password string, err error) {
	var in struct {
		Config
		Password string `json:"password"`
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return c, "", decision.Invalid(path, "must be {host, port?, database, user, password?, sslmode?, sslrootcert?}: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	c = in.Config
	c.Port, c.SSLMode = cmp.Or(c.Port, defaultPort), cmp.Or(c.SSLMode, VerifyFull)
	var p decision.Problems
	for _, f := range []struct {
		name, value string
		required    bool
	}{{"host", c.Host, true}, {"database", c.Database, true}, {"user", c.User, true}, {"password", in.Password, false}} {
		switch {
		case f.required && f.value == "":
			p.Addf(path+"."+f.name, "is required")
		case len(f.value) > maxText:
			p.Addf(path+"."+f.name, "must be at most %d bytes, got %d", maxText, len(f.value))
		case strings.ContainsFunc(f.value, unicode.IsControl):
			p.Addf(path+"."+f.name, "must have no control characters")
		}
	}
	if strings.ContainsAny(c.Host, "/,@ ") {
		p.Addf(path+".host", "must be one host name or address, got %.80q", c.Host)
	}
	switch c.SSLMode {
	case Disable, Require, VerifyCA, VerifyFull:
	default:
		p.Addf(path+".sslmode", "must be %s, %s, %s or %s, got %.40q", Disable, Require, VerifyCA, VerifyFull, c.SSLMode)
	}
	if len(c.SSLRootCert) > maxRootCerts {
		p.Addf(path+".sslrootcert", "must be at most %d bytes, got %d", maxRootCerts, len(c.SSLRootCert))
	} else if c.SSLRootCert != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.SSLRootCert)) {
		p.Addf(path+".sslrootcert", "must be PEM certificates")
	}
	return c, in.Password, p.Err()
}

// tls returns the configuration of TLS, nil for none.
func (c *Config) tls() *tls.Config {
	if c.SSLMode == Disable {
		return nil
	}
	t := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.SSLRootCert != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(c.SSLRootCert))
	}
	if c.SSLMode == VerifyFull {
		return t
	}
	t.InsecureSkipVerify = true // the name need not be the certificate's
	if c.SSLMode == VerifyCA || t.RootCAs != nil {
		roots := t.RootCAs
		t.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s.PeerCertificates, roots) }
	}
	return t
}

// verifyChain judges a certificate whatever its name.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the server has no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

const connectTimeout = 10 * time.Second

// connection completes a configuration for the library. That insists on reading a
// string, and takes from the environment what the string leaves open; everything
// that says where to and as whom is replaced afterwards.
func (c *Config) connection(password string, d *endpoint.Dialer) (*pgx.ConnConfig, error) {
	cc, err := pgx.ParseConfig("host=none port=5432 user=none password=none dbname=none sslmode=disable connect_timeout=10")
	if err != nil {
		return nil, err
	}
	cc.Host, cc.Port, cc.Database, cc.User, cc.Password = c.Host, c.Port, c.Database, c.User, password
	cc.TLSConfig, cc.Fallbacks, cc.ConnectTimeout = c.tls(), nil, connectTimeout
	cc.SSLNegotiation, cc.KerberosSrvName, cc.KerberosSpn = "", "", ""
	cc.RuntimeParams = map[string]string{"application_name": "praetor"}
	cc.ValidateConnect, cc.AfterConnect = nil, nil
	cc.MaxProtocolMessageBodyLen = warehouse.MaxRow
	cc.DialFunc = d.DialContext
	// The dialer resolves, so that it can judge names and addresses both.
	cc.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	// Nothing is prepared by name: proxies that share connections could not follow.
	cc.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	cc.StatementCacheCapacity, cc.DescriptionCacheCapacity = 0, 0
	return cc, nil
}

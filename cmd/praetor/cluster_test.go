package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/praetor-engine/praetor/cluster"
)

func TestClusterCerts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	run := func(nodes ...string) (string, error) {
		var out bytes.Buffer
		c := clusterCerts{Dir: dir, Nodes: nodes, For: caLifetime / 10}
		err := c.Run(&environment{out: &out})
		return out.String(), err
	}
	out, err := run("n1", "n2")
	if err != nil || !strings.Contains(out, "--node-tls-cert "+dir+"/n2.pem") {
		t.Fatalf("certs n1 n2: %v, %s", err, out)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run("n3"); err != nil { // a node that comes later, of the same CA
		t.Fatalf("certs n3: %v", err)
	}
	again, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil || !bytes.Equal(authority, again) {
		t.Errorf("the CA was replaced: %v", err)
	}
	for _, secret := range []string{"ca-key.pem", "n1-key.pem", "n3-key.pem"} {
		if info, err := os.Stat(filepath.Join(dir, secret)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want it readable by its owner alone", secret, info, err)
		}
	}
	if _, err := run("n1"); err == nil {
		t.Error("a certificate that is there was replaced")
	}
	cfg := cluster.DefaultConfig()
	cfg.NodeID, cfg.DataDir, cfg.Listen = "n3", t.TempDir(), "127.0.0.1:0"
	cfg.TLS = &cluster.TLSConfig{CertFile: filepath.Join(dir, "n3.pem"), KeyFile: filepath.Join(dir, "n3-key.pem"), CAFile: filepath.Join(dir, "ca.pem")}
	if err := cfg.Validate(); err != nil {
		t.Errorf("the node's configuration: %v", err)
	}
}

package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/snapshot"
)

// backup reads a node's backup.
func (n *node) backup() []byte {
	n.t.Helper()
	b, err := n.Backup(n.ctx)
	if err != nil {
		n.t.Fatalf("Backup() = %v", err)
	}
	defer b.Close()
	all, err := io.ReadAll(b)
	if err != nil || int64(len(all)) != b.Size {
		n.t.Fatalf("read %d bytes of the backup, %v, want %d", len(all), err, b.Size)
	}
	return all
}

// lived is a node with models of several types that have versions and learned.
func lived(t *testing.T) *node {
	n := fresh(t)
	n.record(mixed(300)...)
	for _, kind := range []decision.ModelType{decision.Bayesian, decision.LogisticRegression, decision.ThompsonBandit, decision.OnlineLearner} {
		n.train(n.model(string(kind), kind).ID)
	}
	n.record(mixed(40)...)
	return n
}

func TestBackupFoundsANewCluster(t *testing.T) {
	n := lived(t)
	want := n.digest()
	backup := n.backup()
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := cluster.RestoreBackup(cluster.Founders{DataDir: dir, NodeID: "fresh"}, bytes.NewReader(backup)); err != nil {
		t.Fatalf("RestoreBackup() = %v", err)
	}
	again := start(t, dir, func(c *Config) { c.Cluster.NodeID = "fresh" })
	if got := again.digest(); got.sum() != want.sum() {
		t.Errorf("digest = %+v, want %+v", got, want)
	}
	// It lives on, also over a restart.
	again.record(mixed(10)...)
	after := again.digest()
	again.stop()
	again = start(t, dir, func(c *Config) { c.Cluster.NodeID = "fresh" })
	if got := again.digest(); got.sum() != after.sum() {
		t.Errorf("after a restart: %+v, want %+v", got, after)
	}

	_, err := cluster.RestoreBackup(cluster.Founders{DataDir: dir, NodeID: "fresh"}, bytes.NewReader(backup))
	wantError(t, "RestoreBackup() into a directory in use", err, decision.KindConflict, "")
}

// Three nodes restored from one backup are one cluster.
func TestBackupFoundsThreeNodes(t *testing.T) {
	n := lived(t)
	want, backup := n.digest(), n.backup()
	nodes := trioOf(t, func(dir, id string, peers []cluster.Peer) {
		if _, err := cluster.RestoreBackup(cluster.Founders{DataDir: dir, NodeID: id, Peers: peers}, bytes.NewReader(backup)); err != nil {
			t.Fatalf("RestoreBackup() = %v", err)
		}
	})
	got := nodes[1].digest()
	if got.sum() != want.sum() {
		t.Errorf("digest = %+v, want %+v", got, want)
	}
	nodes[2].record(mixed(10)...)
}

// A backup with any damage is refused, and leaves nothing to start from.
func TestDamagedBackupIsRefused(t *testing.T) {
	whole := lived(t).backup()
	dir := t.TempDir()
	refused := func(what string, backup []byte) {
		t.Helper()
		data := filepath.Join(dir, "data")
		_, err := cluster.RestoreBackup(cluster.Founders{DataDir: data, NodeID: "n1"}, bytes.NewReader(backup))
		if !errors.Is(err, snapshot.ErrDamaged) {
			t.Errorf("%s: RestoreBackup() = %v, want ErrDamaged", what, err)
		}
		if _, err := os.Stat(filepath.Join(data, "node.json")); err == nil {
			t.Errorf("%s: there is a node", what)
		}
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(whole); i += len(whole)/40 + 1 {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 4
		refused("a flipped bit", damaged)
		refused("cut off", whole[:i])
	}
	refused("with something behind it", append(bytes.Clone(whole), 'x'))
}

// known is what a client sees of a node's tenant: forms on disk change from
// release to release, this does not.
func (n *node) known() string {
	n.t.Helper()
	type model struct {
		Versions int
		Metrics  json.RawMessage
		State    json.RawMessage
	}
	all := struct {
		Interactions int64
		Models       map[string]model
	}{n.digest().Interactions[n.tenant], map[string]model{}}
	for _, m := range n.all() {
		d, err := n.ModelDetail(n.ctx, n.tenant, m.ID, true)
		if err != nil {
			n.t.Fatal(err)
		}
		all.Models[m.Key] = model{len(d.Versions), m.Metrics, d.ModelState}
	}
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b) + "\n"
}

var writeFixtures = flag.Bool("write-fixtures", false, "write the fixtures of this build's formats")

// What a release wrote, every later one opens: the fixtures of each stay. The
// first is what this one writes; -write-fixtures makes it, once.
func TestEveryReleasesBackupOpens(t *testing.T) {
	path := filepath.Join("testdata", "backup-1.praetor")
	if *writeFixtures {
		n := lived(t)
		n.stop()
		n = start(t, n.dir)
		if err := os.WriteFile(path, n.backup(), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".json", []byte(n.known()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	backups, err := filepath.Glob(filepath.Join("testdata", "backup-*.praetor"))
	if err != nil || len(backups) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range backups {
		backup, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(path + ".json")
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "data")
		if _, err := cluster.RestoreBackup(cluster.Founders{DataDir: dir, NodeID: "n1"}, bytes.NewReader(backup)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		n := start(t, dir)
		if got := n.known(); got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
		}
	}
}

package cluster

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/rs/zerolog"
)

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		want   []string // empty: valid
	}{
		"default":          {func(*Config) {}, nil},
		"no id":            {func(c *Config) { c.NodeID = "" }, []string{"node_id"}},
		"id with a slash":  {func(c *Config) { c.NodeID = "a/b" }, []string{"node_id"}},
		"several at once":  {func(c *Config) { c.NodeID, c.DataDir, c.InFlight = "", "", 0 }, []string{"node_id", "data_dir", "in_flight"}},
		"listen":           {func(c *Config) { c.Listen = "7000" }, []string{"listen"}},
		"peers, no listen": {func(c *Config) { c.Peers = []Peer{{"n1", "a:1"}, {"n2", "b:1"}} }, []string{"listen"}},
		"peers without us": {func(c *Config) { c.Peers = []Peer{{"n2", "b:1"}} }, []string{"peers"}},
		"peers twice":      {func(c *Config) { c.Listen, c.Peers = "a:1", []Peer{{"n1", "a:1"}, {"n2", "a:1"}} }, []string{"peers"}},
		"peer nowhere":     {func(c *Config) { c.Listen, c.Peers = "a:1", []Peer{{"n1", "0.0.0.0:1"}} }, []string{"peers"}},
		"peers":            {func(c *Config) { c.Listen, c.Peers = ":1", []Peer{{"n1", "a:1"}, {"n2", "b:1"}} }, nil},
		"trailing":         {func(c *Config) { c.TrailingEntries = 2*c.SnapshotEntries - 1 }, []string{"trailing_entries"}},
		"retain":           {func(c *Config) { c.RetainSnapshots = 1 }, []string{"retain_snapshots"}},
		"short heartbeat":  {func(c *Config) { c.HeartbeatTimeout = time.Millisecond }, []string{"heartbeat_timeout"}},
		"short election":   {func(c *Config) { c.ElectionTimeout = 10 * time.Millisecond }, []string{"election_timeout"}},
		"long lease":       {func(c *Config) { c.LeaderLease = time.Second }, []string{"leader_lease"}},
		"small pending":    {func(c *Config) { c.MaxPendingBytes = 1 }, []string{"max_pending_bytes"}},
		"join":             {func(c *Config) { c.Listen, c.Join = "a:1", []string{"b:1"} }, nil},
		"join, no listen":  {func(c *Config) { c.Join = []string{"b:1"} }, []string{"listen"}},
		"join everywhere":  {func(c *Config) { c.Listen, c.Join = ":1", []string{"b:1"} }, []string{"advertise"}},
		"join as":          {func(c *Config) { c.Listen, c.Advertise, c.Join = ":1", "a:1", []string{"b:1"} }, nil},
		"join nowhere":     {func(c *Config) { c.Listen, c.Join = "a:1", []string{"b"} }, []string{"join[0]"}},
		"join and found":   {func(c *Config) { c.Listen, c.Join, c.Peers = "a:1", []string{"b:1"}, []Peer{{"n1", "a:1"}} }, []string{"join"}},
		"advertise":        {func(c *Config) { c.Advertise = "0.0.0.0:1" }, []string{"advertise"}},
		"no stall":         {func(c *Config) { c.StallTimeout = 0 }, []string{"stall_timeout"}},
		"no leader wait":   {func(c *Config) { c.LeaderWait = 0 }, []string{"leader_wait"}},
		"group off":        {func(c *Config) { c.GroupBytes = 0 }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.NodeID, cfg.DataDir = "n1", "data"
			test.change(&cfg)
			err := cfg.Validate()
			if (err == nil) != (len(test.want) == 0) {
				t.Fatalf("got %v, want problems with %v", err, test.want)
			}
			for _, path := range test.want {
				if !strings.Contains(err.Error(), path+": ") {
					t.Errorf("got %v, want a problem with %s", err, path)
				}
			}
		})
	}
}

func TestParsePeers(t *testing.T) {
	got, err := ParsePeers([]string{"n1=a:1", "n2=[::1]:2"})
	must(t, err)
	if want := []Peer{{"n1", "a:1"}, {"n2", "[::1]:2"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"", "a:1", "=a:1"} {
		if _, err := ParsePeers([]string{bad}); err == nil || !strings.Contains(err.Error(), "want id=host:port") {
			t.Errorf("%q: got %v, want an error that says the form", bad, err)
		}
	}
}

func TestLogBridge(t *testing.T) {
	var b bytes.Buffer
	l := newBridge(zerolog.New(&b).Level(zerolog.DebugLevel).With().Str("component", "cluster").Logger())
	l.Named("net").With("peer", "n2").Warn("failed", "servers", hclog.Fmt("%+v", []int{1}), "error", errors.New("no"), "odd")
	want := `{"level":"warn","component":"cluster","from":"raft","part":"net","peer":"n2","servers":"[1]","error":"no","extra":"odd","message":"failed"}` + "\n"
	if got := b.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.Reset()
	l.Debug("not worth it")
	if l.IsDebug() || !l.IsInfo() || l.GetLevel() != hclog.Info || b.Len() > 0 {
		t.Errorf("got debug %v, info %v, level %v, output %q, want Raft's debug left out", l.IsDebug(), l.IsInfo(), l.GetLevel(), b.String())
	}
}

func TestCheckPlain(t *testing.T) {
	tests := map[string]struct {
		cfg Config
		ok  bool
	}{
		"no port":       {Config{}, true},
		"loopback":      {Config{Listen: "127.0.0.1:1", Join: []string{"[::1]:2", "localhost:3"}}, true},
		"everywhere":    {Config{Listen: ":1"}, false},
		"another host":  {Config{Listen: "127.0.0.1:1", Peers: []Peer{{"n2", "10.0.0.2:1"}}}, false},
		"a name":        {Config{Listen: "127.0.0.1:1", Advertise: "host:1"}, false},
		"TLS elsewhere": {Config{Listen: ":1", TLS: &TLSConfig{}}, true},
	}
	for name, test := range tests {
		if err := test.cfg.CheckPlain(); (err == nil) != test.ok {
			t.Errorf("%s: got %v, want accepted %v", name, err, test.ok)
		}
	}
}

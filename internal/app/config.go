package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/praetor-engine/praetor/cluster"
	"github.com/praetor-engine/praetor/httpapi"
	"github.com/praetor-engine/praetor/internal/endpoint"
	"github.com/praetor-engine/praetor/internal/engine"
	"github.com/praetor-engine/praetor/internal/mlclient"
	"github.com/praetor-engine/praetor/internal/vault"
)

// Config is every setting of a node. Version is the build's name. The tags are the one table that flags,
// environment variables, defaults and help come from.
type Config struct {
	Listen     string   `env:"PRAETOR_LISTEN" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address of the HTTP API (${env}; ${default})."`
	Data       string   `env:"PRAETOR_DATA" default:"./data" type:"path" placeholder:"DIR" help:"Directory of the node's data (${env}; ${default})."`
	NodeID     string   `env:"PRAETOR_NODE_ID" default:"node-1" placeholder:"ID" help:"The node's id, for ever bound to its data (${env}; ${default})."`
	RaftListen string   `env:"PRAETOR_RAFT_LISTEN" default:"127.0.0.1:7080" placeholder:"HOST:PORT" help:"Address of the traffic between nodes; a node alone does not listen (${env}; ${default})."`
	Peers      []string `env:"PRAETOR_PEERS" placeholder:"ID=HOST:PORT,…" help:"The nodes that found the cluster, this one among them, the same list on each; none: a one-node cluster (${env})."`
	Join       []string `env:"PRAETOR_JOIN" placeholder:"HOST:PORT,…" help:"With an empty data directory, join the cluster that one of these nodes is in, instead of founding one (${env})."`
	Nonvoter   bool     `name:"join-nonvoter" env:"PRAETOR_JOIN_NONVOTER" help:"Join without a vote: the node serves scores and does not count for a quorum (${env})."`
	Advertise  string   `env:"PRAETOR_ADVERTISE" placeholder:"HOST:PORT" help:"Where the other nodes reach this one; its address in --peers, else --raft-listen (${env})."`
	Dev        bool     `env:"PRAETOR_DEV" help:"Make a tenant demo with a fresh admin key and print it; loopback only (${env})."`

	OperatorKey     string `env:"PRAETOR_OPERATOR_KEY" placeholder:"KEY" help:"The operator's key, at least 16 characters; it makes tenants and their keys (${env}). Prefer the variable or the file: flags are visible to other users."`
	OperatorKeyFile string `env:"PRAETOR_OPERATOR_KEY_FILE" type:"path" placeholder:"FILE" help:"A file with the operator's key (${env})."`

	TLSCert      string `env:"PRAETOR_TLS_CERT" type:"path" placeholder:"FILE" help:"PEM certificate of the HTTP API (${env})."`
	TLSKey       string `env:"PRAETOR_TLS_KEY" type:"path" placeholder:"FILE" help:"PEM key of the HTTP API (${env})."`
	Insecure     bool   `env:"PRAETOR_INSECURE" help:"Listen on other than loopback without TLS: behind a proxy that has it, or in a network that nobody else can reach (${env})."`
	NodeTLSCert  string `name:"node-tls-cert" env:"PRAETOR_NODE_TLS_CERT" type:"path" placeholder:"FILE" help:"PEM certificate of the traffic between nodes, naming this node: praetor cluster certs makes them (${env})."`
	NodeTLSKey   string `name:"node-tls-key" env:"PRAETOR_NODE_TLS_KEY" type:"path" placeholder:"FILE" help:"Its PEM key (${env})."`
	NodeTLSCA    string `name:"node-tls-ca" env:"PRAETOR_NODE_TLS_CA" type:"path" placeholder:"FILE" help:"PEM certificates of the private CA of all nodes (${env})."`
	AdminListen  string `env:"PRAETOR_ADMIN_LISTEN" placeholder:"HOST:PORT" help:"Address of the profiler, loopback only; none: off (${env})."`
	MaxStreams   int    `name:"max-event-streams" env:"PRAETOR_MAX_EVENT_STREAMS" default:"256" placeholder:"N" help:"Streams of events that may be open on this node; one tenant may have a quarter of them (${env}; ${default})."`
	MaxBodyBytes int    `env:"PRAETOR_MAX_BODY_BYTES" default:"1048576" placeholder:"N" help:"Largest request body, in bytes (${env}; ${default})."`

	RateLimits map[string]string `name:"rate-limit" env:"PRAETOR_RATE_LIMIT" mapsep:"," placeholder:"CLASS=N/WINDOW,…" help:"Requests that a tenant may make in any span of a window, by class: read, write, score, respond, train, admin, serve; such as respond=5000/10s (${env}; none)."`

	MaxHistoryRows      int64 `env:"PRAETOR_MAX_HISTORY_ROWS" default:"20000000" placeholder:"N" help:"Interactions kept per tenant (${env}; ${default})."`
	MaxHistoryDays      int64 `env:"PRAETOR_MAX_HISTORY_DAYS" default:"400" placeholder:"N" help:"Days an interaction is kept (${env}; ${default})."`
	MaxSummaryCustomers int64 `env:"PRAETOR_MAX_SUMMARY_CUSTOMERS" default:"5000000" placeholder:"N" help:"Customers with summaries in memory, per tenant (${env}; ${default})."`
	MaxAnswerBytes      int64 `env:"PRAETOR_MAX_ANSWER_BYTES" default:"268435456" placeholder:"N" help:"Memory of the answers kept 24 hours for idempotency keys (${env}; ${default})."`
	MaxAuditEntries     int64 `env:"PRAETOR_MAX_AUDIT_ENTRIES" default:"1000000" placeholder:"N" help:"Entries kept of a tenant's audit log (${env}; ${default})."`
	MaxAuditDays        int64 `env:"PRAETOR_MAX_AUDIT_DAYS" default:"2557" placeholder:"N" help:"Days an entry of the audit log is kept (${env}; ${default})."`
	TrainWorkers        int   `env:"PRAETOR_TRAIN_WORKERS" default:"1" placeholder:"N" help:"Trainings at a time on this node (${env}; ${default})."`

	ShadowShare float64 `env:"PRAETOR_SHADOW_SHARE" default:"0.02" placeholder:"N" help:"Share, 0 to 1, of the scores of families with an experiment that all its models score, off the response path (${env}; ${default})."`

	MonitorScores int           `env:"PRAETOR_MONITOR_SCORES" default:"262144" placeholder:"N" help:"Served scores that wait on this node for their outcomes, 16 bytes each; 0: what is served is not monitored (${env}; ${default})."`
	MonitorWindow time.Duration `env:"PRAETOR_MONITOR_WINDOW" default:"24h" placeholder:"D" help:"How long an outcome may follow a score, at most 168h (${env}; ${default})."`

	DecisionLogDir        string        `env:"PRAETOR_DECISION_LOG_DIR" type:"path" placeholder:"DIR" help:"Where decisions are logged that are to be; decisions in the data directory when not set (${env})."`
	DecisionLogFileBytes  int64         `env:"PRAETOR_DECISION_LOG_FILE_BYTES" default:"67108864" placeholder:"N" help:"Bytes from which on a file of decisions is complete and the next one begins (${env}; ${default})."`
	DecisionLogFileAge    time.Duration `env:"PRAETOR_DECISION_LOG_FILE_AGE" default:"1h" placeholder:"D" help:"Age from which on it is (${env}; ${default})."`
	DecisionLogTotalBytes int64         `env:"PRAETOR_DECISION_LOG_TOTAL_BYTES" default:"10737418240" placeholder:"N" help:"Bytes of all files of decisions on this node; beyond it the oldest are deleted (${env}; ${default})."`

	MLWorkerURL   string `env:"ML_WORKER_URL" placeholder:"URL" help:"The ML worker that trains gradient boosted models; none: they cannot be trained here (${env})."`
	MLWorkerToken string `env:"ML_WORKER_TOKEN" placeholder:"TOKEN" help:"The ML worker's token (${env})."`

	EndpointAllow     []string `env:"PRAETOR_ENDPOINT_ALLOW" placeholder:"PREFIX|ADDRESS|HOST,…" help:"What webhooks and the endpoints of external models may be although it is not public, such as 10.1.0.0/16 or scorer.internal (${env}; none)."`
	EndpointHTTP      bool     `env:"PRAETOR_ENDPOINT_HTTP" help:"Permit webhooks and endpoints of external models without TLS (${env})."`
	InsecureEndpoints string   `env:"PRAETOR_INSECURE_ENDPOINTS" default:"deny" enum:"deny,allow" placeholder:"deny|allow" help:"allow: webhooks and endpoints of external models may be anywhere, this machine included; for tests (${env}; ${default})."`

	WarehouseDir     string        `env:"PRAETOR_WAREHOUSE_DIR" type:"path" placeholder:"DIR" help:"Directory of files that optimizations learn from, with a directory for each tenant; none: files cannot be read here (${env})."`
	WarehouseTimeout time.Duration `env:"PRAETOR_WAREHOUSE_TIMEOUT" default:"5m" placeholder:"D" help:"How long reading a warehouse for one training may take (${env}; ${default})."`
	WarehouseMaxRows int64         `env:"PRAETOR_WAREHOUSE_MAX_ROWS" default:"50000000" placeholder:"N" help:"Rows read for one training at most, of exposures and of rewards each (${env}; ${default})."`

	CredentialsKey     string `env:"PRAETOR_CREDENTIALS_KEY" placeholder:"KEY,…" help:"Keys that seal the passwords of warehouses and the secrets of webhooks, 32 bytes in base 64 or hexadecimal each; the first seals, all open. The same on every node; a node alone makes one in its data directory (${env}). Prefer the variable or the file."`
	CredentialsKeyFile string `env:"PRAETOR_CREDENTIALS_KEY_FILE" type:"path" placeholder:"FILE" help:"A file with these keys, one a line (${env})."`

	SnapshotEntries  uint64        `env:"PRAETOR_SNAPSHOT_ENTRIES" default:"8192" placeholder:"N" help:"Log entries after which a snapshot is taken (${env}; ${default})."`
	SnapshotBytes    uint64        `env:"PRAETOR_SNAPSHOT_BYTES" default:"268435456" placeholder:"N" help:"Bytes of log after which a snapshot is taken (${env}; ${default})."`
	SnapshotInterval time.Duration `env:"PRAETOR_SNAPSHOT_INTERVAL" default:"30s" placeholder:"D" help:"Least time between snapshots (${env}; ${default})."`
	TrailingEntries  uint64        `env:"PRAETOR_TRAILING_ENTRIES" default:"16384" placeholder:"N" help:"Log entries kept behind a snapshot; at least twice snapshot-entries (${env}; ${default})."`
	AppendEntries    int           `env:"PRAETOR_APPEND_ENTRIES" default:"64" placeholder:"N" help:"Log entries in one append, with one fsync; at most 64 (${env}; ${default})."`
	GroupCommit      bool          `env:"PRAETOR_GROUP_COMMIT" default:"true" negatable:"" help:"Put concurrent writes into one log entry (${env}; ${default})."`

	ShutdownTimeout time.Duration `env:"PRAETOR_SHUTDOWN_TIMEOUT" default:"20s" placeholder:"D" help:"How long a graceful stop may take (${env}; ${default})."`
	LogLevel        string        `env:"PRAETOR_LOG_LEVEL" default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"debug, info, warn or error (${env}; ${default})."`
	Version         string        `kong:"-"`
	LogFormat       string        `env:"PRAETOR_LOG_FORMAT" default:"auto" enum:"auto,json,console" placeholder:"FORMAT" help:"json, console, or auto: console on a terminal (${env}; ${default})."`
}

// operatorKey returns the operator's key from the setting or its file.
func (c *Config) operatorKey() (string, error) {
	if c.OperatorKeyFile == "" {
		return c.OperatorKey, nil
	}
	if c.OperatorKey != "" {
		return "", fmt.Errorf("set the operator's key or its file, not both")
	}
	b, err := os.ReadFile(c.OperatorKeyFile)
	if err != nil {
		return "", fmt.Errorf("operator's key: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if key == "" {
		return "", fmt.Errorf("operator's key: %s is empty", c.OperatorKeyFile)
	}
	return key, nil
}

// credentials returns the keys of credentials from the setting or its file, nil for
// none.
func (c *Config) credentials() (*vault.Keys, error) {
	switch {
	case c.CredentialsKeyFile != "" && c.CredentialsKey != "":
		return nil, fmt.Errorf("set the keys of credentials or their file, not both")
	case c.CredentialsKeyFile != "":
		k, err := vault.Load(c.CredentialsKeyFile)
		if err != nil {
			return nil, fmt.Errorf("keys of credentials: %w", err)
		}
		return k, nil
	case c.CredentialsKey != "":
		k, err := vault.Parse(strings.ReplaceAll(c.CredentialsKey, ",", "\n"))
		if err != nil {
			return nil, fmt.Errorf("keys of credentials: %w", err)
		}
		return k, nil
	}
	return nil, nil
}

// engineConfig is the engine's part.
func (c *Config) engineConfig(operatorKey string) (engine.Config, error) {
	cfg := engine.DefaultConfig(c.Data)
	peers, err := cluster.ParsePeers(c.Peers)
	if err != nil {
		return cfg, err
	}
	if cfg.Credentials, err = c.credentials(); err != nil {
		return cfg, err
	}
	cfg.Warehouse.Dir, cfg.Warehouse.Timeout, cfg.Warehouse.Limits.MaxRows = c.WarehouseDir, c.WarehouseTimeout, c.WarehouseMaxRows
	cfg.OperatorKey = operatorKey
	cfg.TrainWorkers, cfg.ShadowShare = c.TrainWorkers, c.ShadowShare
	cfg.Decisions.Dir, cfg.Decisions.FileBytes = c.DecisionLogDir, c.DecisionLogFileBytes
	cfg.Decisions.FileAge, cfg.Decisions.TotalBytes = c.DecisionLogFileAge, c.DecisionLogTotalBytes
	cfg.MonitorScores, cfg.MonitorWindow = c.MonitorScores, c.MonitorWindow
	cfg.Worker = mlclient.DefaultConfig(c.MLWorkerURL, c.MLWorkerToken)
	cfg.Limits = engine.Limits{
		MaxHistoryRows: c.MaxHistoryRows, MaxHistoryDays: c.MaxHistoryDays,
		MaxSummaryCustomers: c.MaxSummaryCustomers, MaxAnswerBytes: c.MaxAnswerBytes,
		MaxAuditEntries: c.MaxAuditEntries, MaxAuditDays: c.MaxAuditDays,
	}
	cfg.Cluster.NodeID, cfg.Cluster.Version = c.NodeID, c.Version
	cfg.Cluster.Peers = peers
	if err := c.nodePort(&cfg.Cluster); err != nil {
		return cfg, err
	}
	cfg.Cluster.SnapshotEntries, cfg.Cluster.SnapshotBytes = c.SnapshotEntries, c.SnapshotBytes
	cfg.Cluster.SnapshotInterval, cfg.Cluster.TrailingEntries = c.SnapshotInterval, c.TrailingEntries
	cfg.Cluster.AppendEntries = c.AppendEntries
	if !c.GroupCommit {
		cfg.Cluster.GroupBytes = 0
	}
	return cfg, nil
}

// nodePort is how the other nodes reach this one, and it them. A node alone does
// not listen.
func (c *Config) nodePort(cfg *cluster.Config) error {
	cfg.Join, cfg.JoinNonvoter = c.Join, c.Nonvoter
	if len(cfg.Peers) > 0 || len(c.Join) > 0 {
		cfg.Listen, cfg.Advertise = c.RaftListen, c.Advertise
	}
	if len(cfg.Peers) > 0 && len(c.Join) > 0 {
		return fmt.Errorf("set the peers that found the cluster, or the nodes to join, not both")
	}
	if files := [...]string{c.NodeTLSCert, c.NodeTLSKey, c.NodeTLSCA}; files != [3]string{} {
		for _, f := range files {
			if f == "" {
				return fmt.Errorf("TLS between nodes needs a certificate, its key and the CA")
			}
		}
		cfg.TLS = &cluster.TLSConfig{CertFile: c.NodeTLSCert, KeyFile: c.NodeTLSKey, CAFile: c.NodeTLSCA}
	}
	if c.Insecure {
		return nil
	}
	return cfg.CheckPlain()
}

// endpointOptions are the rules of calls to the endpoints of external models.
// own are the addresses that this node listens on.
func (c *Config) endpointOptions(own ...string) (endpoint.Options, error) {
	o := endpoint.Options{AllowHTTP: c.EndpointHTTP, Allow: c.EndpointAllow}
	if c.InsecureEndpoints == "allow" {
		o.AllowHTTP = true
		o.Allow = append(slices.Clone(o.Allow), "0.0.0.0/0", "::/0")
	}
	for _, address := range own {
		if address == "" {
			continue
		}
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return o, fmt.Errorf("own address: %w", err)
		}
		ip, _ := netip.AddrFromSlice(a.IP) // the zero value stands for all
		if !ip.IsValid() {
			ip = netip.IPv6Unspecified()
		}
		o.Own = append(o.Own, netip.AddrPortFrom(ip.Unmap(), uint16(a.Port)))
	}
	return o, nil
}

// rateLimits reads limits written as N/WINDOW.
func (c *Config) rateLimits() (map[httpapi.Class]httpapi.RateLimit, error) {
	limits := map[httpapi.Class]httpapi.RateLimit{}
	for class, text := range c.RateLimits {
		n, window, ok := strings.Cut(text, "/")
		requests, err := strconv.Atoi(n)
		span, err2 := time.ParseDuration(window)
		if !ok || err != nil || err2 != nil {
			return nil, fmt.Errorf("rate limit of class %q: want requests/window such as 5000/10s, got %q", class, text)
		}
		limits[httpapi.Class(class)] = httpapi.RateLimit{Requests: requests, Window: span}
	}
	return limits, nil
}

// httpConfig is the server's part.
func (c *Config) httpConfig() (httpapi.Config, error) {
	cfg := httpapi.DefaultConfig()
	cfg.Addr, cfg.AdminAddr = c.Listen, c.AdminListen
	cfg.CertFile, cfg.KeyFile, cfg.Insecure = c.TLSCert, c.TLSKey, c.Insecure
	cfg.MaxBody, cfg.MaxEventStreams = c.MaxBodyBytes, c.MaxStreams
	var err error
	if cfg.RateLimits, err = c.rateLimits(); err != nil {
		return cfg, err
	}
	if c.TLSCert != "" { // read again by the server; here before anything is opened
		if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
			return cfg, fmt.Errorf("TLS certificate: %w", err)
		}
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && c.Dev {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return cfg, fmt.Errorf("--dev listens on loopback only, got %q", c.Listen)
		}
	}
	return cfg, nil
}

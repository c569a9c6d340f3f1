package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"

	"github.com/praetor-engine/praetor/internal/decision"
	"github.com/praetor-engine/praetor/internal/vault"
)

// credentials seals what the engine stores of other systems' secrets. The log,
// snapshots and backups have them sealed; the keys are each node's configuration.
//
// A node alone that was given no key makes one in its data directory with the first
// secret. That key is on one machine, so a cluster of several does not seal with it.
type credentials struct {
	configured *vault.Keys // nil: none
	path       string      // of the key that a node alone makes
	several    func() bool // whether the cluster has, or is to have, other nodes

	mu      sync.Mutex
	own     *vault.Keys // nil: not made
	damaged error       // why the one that was made cannot be read; nil: it can
}

const (
	credentialsFile = "credentials.key"
	reasonNoKey     = "credentials_key"
)

// newCredentials reads the key that the node made, if it did. One that cannot be read
// is no reason not to serve; it is not replaced, since somebody may mend it.
func newCredentials(c *Config, several func() bool, log zerolog.Logger) *credentials {
	k := &credentials{configured: c.Credentials, path: filepath.Join(c.Cluster.DataDir, credentialsFile), several: several}
	own, err := vault.Load(k.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error().Err(err).Msg("the key of credentials cannot be read; what was sealed with it cannot be used")
		k.damaged = err
	}
	k.own = own
	return k
}

// keys returns what seals here.
func (k *credentials) keys() (*vault.Keys, error) {
	if k.configured != nil {
		return k.configured, nil
	}
	if k.several() {
		return nil, &decision.Error{Kind: decision.KindUnavailable, Reason: reasonNoKey, Msg: "a cluster of several nodes stores no credentials without a key for them: " +
			"give every node the same one with --credentials-key-file"}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.damaged != nil {
		return nil, &decision.Error{Kind: decision.KindUnavailable, Op: "engine.Credentials", Reason: reasonNoKey, Err: k.damaged,
			Msg: "the key of credentials in the node's data directory cannot be read; mend it, or give the node one with --credentials-key-file"}
	}
	if k.own == nil {
		own, err := vault.LoadOrMake(k.path)
		if err != nil {
			return nil, fmt.Errorf("engine: the key of credentials: %w", err)
		}
		k.own = own
	}
	return k.own, nil
}

// open returns a secret. A node without the key goes on without it.
func (k *credentials) open(sealed []byte, owner ...string) ([]byte, error) {
	secret, err := k.configured.Open(sealed, owner...)
	if errors.Is(err, vault.ErrNoKey) {
		k.mu.Lock()
		own := k.own
		k.mu.Unlock()
		secret, err = own.Open(sealed, owner...)
	}
	switch {
	case errors.Is(err, vault.ErrNoKey):
		return nil, &decision.Error{Kind: decision.KindUnavailable, Op: "engine.Credentials", Reason: reasonNoKey, Err: err,
			Msg: fmt.Sprintf("this node has not the key %s, which sealed the credentials; --credentials-key-file gives it keys", vault.Sealer(sealed))}
	case err != nil:
		return nil, &decision.Error{Kind: decision.KindUnavailable, Op: "engine.Credentials", Reason: reasonNoKey, Err: err,
			Msg: "the stored credentials cannot be opened; store them again"}
	}
	return secret, nil
}

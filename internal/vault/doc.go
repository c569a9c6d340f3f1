// Package vault seals the few secrets that the engine must be able to read again:
// the credentials of other systems. What it seals may go into the log, snapshots
// and backups; the keys never do.
//
// # Sealed form
//
//	┌─────────┬────────────┬───────────┬────────────┬───────────┐
//	│ version │ key id (8) │ nonce(12) │ ciphertext │ tag (16)  │
//	└─────────┴────────────┴───────────┴────────────┴───────────┘
//
// AES-256-GCM (NIST SP 800-38D) with a random nonce: one key may seal 2³² secrets,
// far more than there ever are connections. The associated data are the version,
// the key's id and what the secret belongs to, such as a tenant and a connection:
// a sealed secret that is moved elsewhere does not open. The key's id is the start
// of a hash of the key; it says which of several keys opens.
//
// # Rotation
//
// The first key seals, every key opens. A new key is put before the old one on
// every node; the old one goes when nothing is sealed with it any more.
package vault

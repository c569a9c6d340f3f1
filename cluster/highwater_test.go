package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// A full disk passes: the mark is written as soon as it can be. Otherwise no
// snapshot could be finished until a restart, and a follower that needs one
// would stay behind for ever.
func TestHighWaterIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, highWaterName)
	if err := os.WriteFile(path, encodeHighWater(3), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := openHighWater(dir)
	if err != nil {
		t.Fatal(err)
	}
	// What is to be written stands in its own way.
	if err := os.Mkdir(path+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.raise(5); err == nil {
		t.Fatal("raise() succeeded although the file could not be written")
	}
	if got := h.get(); got != 3 {
		t.Errorf("the mark is %d after a write that failed, want 3", got)
	}
	if err := os.Remove(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := h.raise(5); err != nil {
		t.Fatalf("raise() = %v, want the mark to be written again", err)
	}
	if h, err = openHighWater(dir); err != nil || h.get() != 5 {
		t.Errorf("the file has %d, %v, want 5", h.get(), err)
	}
}

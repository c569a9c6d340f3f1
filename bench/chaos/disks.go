package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// disks are small file systems, one for each node, in files on the real disk:
// they can be filled without filling anything else, and an fsync still reaches
// the disk.
type disks struct {
	mounts []string
}

// diskBytes is the size of a node's file system; the file is sparse.
const diskBytes = 1 << 30

// command runs a program of the system and returns what it said as its error.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("chaos: %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// mountDisks makes the file systems; nil where that is not permitted, with the
// reason in r.noDisks.
func (r *Runner) mountDisks(ctx context.Context, dir string) (*disks, error) {
	if r.noDisks != "" {
		return nil, nil
	}
	d := &disks{}
	for i := range size {
		image, mount := filepath.Join(dir, fmt.Sprintf("disk-%d.img", i+1)), filepath.Join(dir, "disk-"+strconv.Itoa(i+1))
		err := os.MkdirAll(mount, 0o700)
		if err == nil {
			err = sparse(image, diskBytes)
		}
		if err == nil {
			err = command(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", image)
		}
		if err == nil {
			err = command(ctx, "mount", "-o", "loop", image, mount)
		}
		if err != nil {
			_ = d.unmount()
			if i > 0 {
				return nil, err
			}
			r.noDisks = fmt.Sprintf("no file systems of their own for the nodes: %v", err)
			r.logf("%s", r.noDisks)
			return nil, nil
		}
		d.mounts = append(d.mounts, mount)
	}
	return d, nil
}

func sparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// unmount takes the file systems down; a process that was killed may hold one
// for a moment.
func (d *disks) unmount() error {
	var errs []error
	for _, m := range d.mounts {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := command(ctx, "umount", m)
		for err != nil && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond)
			err = command(ctx, "umount", m)
		}
		cancel()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

const ballastName = "ballast"

// fill takes all the space of a node's file system but a few blocks.
func (d *disks) fill(i int) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.mounts[i], &s); err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	f, err := os.Create(filepath.Join(d.mounts[i], ballastName))
	if err != nil {
		return fmt.Errorf("chaos: %w", err)
	}
	defer func() { _ = f.Close() }()
	for n := int64(s.Bavail) * int64(s.Bsize); n >= int64(s.Bsize); {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, n)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("chaos: fill the disk: %w", err)
		}
		n -= max(int64(s.Bsize), n/64) // the file system needs some for itself
	}
	return nil
}

// free gives the space back.
func (d *disks) free(i int) error {
	err := os.Remove(filepath.Join(d.mounts[i], ballastName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

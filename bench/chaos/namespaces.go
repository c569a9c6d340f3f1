package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/praetor-engine/praetor/bench/nodes"
)

// namespaces gives every node a network of its own, with a cable to a bridge
// that the clients are on. What a cut direction carries goes to a hardware
// address that nobody has: it is lost without a word, as with a broken switch,
// and TCP sends it again. Needs the right to make network namespaces.
type namespaces struct {
	life   *life
	prefix string // of the names, with this process's id
	subnet string // its first three bytes

	mu   sync.Mutex
	cuts [][2]int
	errs []error
}

// nowhere is a hardware address that no node has.
const nowhere = "02:00:00:00:00:fe"

// systemTimeout bounds a command of the system.
const systemTimeout = 10 * time.Second

func ip(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), systemTimeout)
	defer cancel()
	return command(ctx, "ip", args...)
}

func openNamespaces(l *life) (*namespaces, error) {
	removeStale()
	pid := os.Getpid()
	n := &namespaces{life: l, prefix: fmt.Sprintf("px%d", pid), subnet: fmt.Sprintf("10.%d.%d", 100+pid%100, pid/100%250)}
	steps := [][]string{
		{"link", "add", n.prefix, "type", "bridge"},
		{"addr", "add", n.subnet + ".254/24", "dev", n.prefix},
		{"link", "set", n.prefix, "up"},
	}
	for i := range size {
		ns, outer := n.namespace(i), n.prefix+"v"+strconv.Itoa(i)
		steps = append(steps,
			[]string{"netns", "add", ns},
			[]string{"link", "add", outer, "type", "veth", "peer", "name", inner, "netns", ns},
			[]string{"link", "set", outer, "master", n.prefix},
			[]string{"link", "set", outer, "up"},
			[]string{"-n", ns, "addr", "add", n.host(i) + "/24", "dev", inner},
			[]string{"-n", ns, "link", "set", inner, "up"},
			[]string{"-n", ns, "link", "set", "lo", "up"},
		)
	}
	for _, step := range steps {
		if err := ip(step...); err != nil {
			return nil, errors.Join(err, n.remove())
		}
	}
	return n, nil
}

// inner is the name of a node's own end of its cable.
const inner = "eth0"

func (n *namespaces) namespace(i int) string { return n.prefix + "n" + strconv.Itoa(i) }
func (n *namespaces) host(i int) string      { return n.subnet + "." + strconv.Itoa(i+1) }

func (*namespaces) name() string { return networkNamespaces }

func (n *namespaces) place(i int) nodes.Place {
	return nodes.Place{Wrap: []string{"ip", "netns", "exec", n.namespace(i)}, Host: n.host(i)}
}

// flags permit connections without TLS beyond loopback: the network is the
// harness's own.
func (*namespaces) flags() []string { return []string{"--insecure"} }

func (*namespaces) advertise(_, listen string) (string, error) { return listen, nil }

// slot is where the node with an id runs.
func (n *namespaces) slot(id string) int {
	for i, m := range n.life.members {
		if m.ID() == id {
			return i
		}
	}
	return -1
}

// Cut loses everything that one node sends to another.
func (n *namespaces) Cut(from, to string) {
	a, b := n.slot(from), n.slot(to)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts = append(n.cuts, [2]int{a, b})
	n.errs = append(n.errs, ip("-n", n.namespace(a), "neigh", "replace", n.host(b), "lladdr", nowhere, "dev", inner, "nud", "permanent"))
}

// Heal has the nodes ask again for each other's hardware addresses.
func (n *namespaces) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cuts {
		n.errs = append(n.errs, ip("-n", n.namespace(c[0]), "neigh", "del", n.host(c[1]), "dev", inner))
	}
	n.cuts = nil
}

// Close takes the namespaces away, and tells what went wrong since they were
// made.
func (n *namespaces) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(append(n.errs, n.remove())...)
}

func (n *namespaces) remove() error {
	var errs []error
	for i := range size {
		if err := ip("netns", "del", n.namespace(i)); err != nil && !strings.Contains(err.Error(), "No such file") {
			errs = append(errs, err)
		}
	}
	if err := ip("link", "del", n.prefix); err != nil && !strings.Contains(err.Error(), "Cannot find") {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// removeStale removes what harnesses left behind that were killed.
func removeStale() {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for _, line := range strings.Split(string(out), "\n") {
		name, _, _ := strings.Cut(line, " ")
		prefix, _, ok := strings.Cut(strings.TrimPrefix(name, "px"), "n")
		pid, err := strconv.Atoi(prefix)
		if !ok || err != nil || !strings.HasPrefix(name, "px") {
			continue
		}
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); os.IsNotExist(err) {
			_ = ip("netns", "del", name) // whatever is left is tried again by the next
			_ = ip("link", "del", "px"+prefix)
		}
	}
}

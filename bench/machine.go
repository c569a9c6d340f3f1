package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"` // that the processes may use at a time
	Go    string `json:"go"`
	OS    string `json:"os"`
	// Load is the number of processes that wanted to run in the minute before,
	// where the system tells: on an idle machine near zero.
	Load string `json:"load,omitempty"`
	// FsyncP50 and FsyncP99 are how long an append of 4 KiB and its fsync take
	// in the data's directory.
	FsyncP50 time.Duration `json:"fsyncP50Ns"`
	FsyncP99 time.Duration `json:"fsyncP99Ns"`
}

// fsyncs is how many appends the latency of fsync is taken from.
const fsyncs = 300

// Describe measures and describes the machine with its disk at dir.
func Describe(dir string) (Machine, error) {
	m := Machine{
		CPU: cpuName(), Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		OS: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(b), " ")
	}
	took, err := appendAndSync(dir)
	if err != nil {
		return m, fmt.Errorf("bench: measure fsync: %w", err)
	}
	slices.Sort(took)
	m.FsyncP50, m.FsyncP99 = took[len(took)/2], took[len(took)*99/100]
	return m, nil
}

func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func appendAndSync(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, 4<<10)
	for range fsyncs {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// String is the line above the figures.
func (m Machine) String() string {
	s := fmt.Sprintf("%s, %d cores, %s, %s; append of 4 KiB with fsync: median %v, p99 %v", m.CPU, m.Cores, m.OS, m.Go,
		m.FsyncP50.Round(time.Microsecond), m.FsyncP99.Round(time.Microsecond))
	if m.Load != "" {
		s += "; load before: " + m.Load
	}
	return s
}

// clockTicks is the unit of CPU times in /proc, a constant of Linux.
const clockTicks = 100

// cpuTime returns what a process has used of the CPU, user and system; ok is
// false where the system does not tell.
func cpuTime(pid int) (t time.Duration, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold anything; utime and stime are the 12th
	// and 13th field behind it.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / clockTicks, err1 == nil && err2 == nil
}

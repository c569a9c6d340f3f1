// Package pgtest starts a PostgreSQL server for tests, from the distribution's
// package, with a data directory and a port of its own.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Required is the environment variable that, set, makes the tests fail where they
// would be skipped for want of a server.
const Required = "PRAETOR_REQUIRE_POSTGRES"

// User and Password are those of the server's superuser.
const (
	User     = "postgres"
	Password = "test-Passw0rd"
)

// Server is a running server at 127.0.0.1. It takes connections with and without
// TLS; CA is the PEM certificate that judges its own, which is of localhost.
type Server struct {
	Port  uint16
	CA    string
	dir   string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	log   bytes.Buffer
}

var (
	once   sync.Once
	shared *Server
	failed error
)

// Start returns the server of the test binary, and starts it when nobody has. The
// test is skipped where PostgreSQL is not installed. TestMain must call Stop.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := installed(t)
	once.Do(func() { shared, failed = start(bin) })
	if failed != nil {
		t.Fatal(failed)
	}
	return shared
}

// New returns a server that ends with the test. The test is skipped where PostgreSQL
// is not installed.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := start(installed(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// installed returns the directory of the server's programs, or skips the test.
func installed(t testing.TB) (bin string) {
	t.Helper()
	bin, ok := find()
	if !ok {
		if os.Getenv(Required) != "" {
			t.Fatalf("want initdb and postgres (the distribution's package postgresql): they are not there")
		}
		t.Skip("PostgreSQL is not installed: the distribution's package is postgresql")
	}
	return bin
}

// Stop ends the server, if one was started.
func Stop() {
	if shared != nil {
		shared.stop()
	}
}

// find returns the directory of the server's programs.
func find() (dir string, ok bool) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(real), true
		}
	}
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well-formed
	if len(all) == 0 {
		return "", false
	}
	return filepath.Dir(slices.Max(all)), true
}

// account returns whom the server runs as: not root, which it refuses.
func account() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func start(bin string) (_ *Server, err error) {
	who, err := account()
	if err != nil {
		return nil, fmt.Errorf("pgtest: whom to run the server as: %w", err)
	}
	s := &Server{}
	if s.dir, err = os.MkdirTemp("", "praetor-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	data, password := filepath.Join(s.dir, "data"), filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o600); err != nil {
		return nil, err
	}
	if s.CA, err = writeCertificate(s.dir); err != nil {
		return nil, err
	}
	if err := give(s.dir, who); err != nil {
		return nil, err
	}
	init := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", User, "--auth=scram-sha-256", "--pwfile="+password,
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	init.Dir, init.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: who}
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pgtest: initdb: %w: %s", err, out)
	}
	for range 5 { // another process may take the free port first
		if err = s.serve(bin, data, who); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// give makes the directory and what is in it another's.
func give(dir string, who *syscall.Credential) error {
	if who == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(who.Uid), int(who.Gid))
	})
}

const startTimeout = 30 * time.Second

func (s *Server) serve(bin, data string, who *syscall.Credential) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Port = uint16(ln.Addr().(*net.TCPAddr).Port)
	if err := ln.Close(); err != nil {
		return err
	}
	s.log.Reset()
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(int(s.Port)),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "shared_buffers=16MB",
		"-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(s.dir, "server.crt"), "-c", "ssl_key_file="+filepath.Join(s.dir, "server.key"))
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: who}
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.ended = ended
	go func() {
		_ = s.cmd.Wait() // its log says why
		close(ended)
	}()
	deadline := time.After(startTimeout)
	for {
		c, err := s.Connect(context.Background())
		if err == nil {
			return c.Close(context.Background())
		}
		select {
		case <-ended:
			s.cmd = nil
			return fmt.Errorf("pgtest: the server ended: %s", s.log.String())
		case <-deadline:
			return fmt.Errorf("pgtest: the server does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // ends without waiting for clients
		<-s.ended
	}
	_ = os.RemoveAll(s.dir)
}

// Connect connects as the superuser.
func (s *Server) Connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=postgres sslmode=disable", s.Port, User, Password))
}

// Exec runs statements one after the other as the superuser.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	ctx := context.Background()
	c, err := s.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	for _, text := range statements {
		if _, err := c.Exec(ctx, text); err != nil {
			t.Fatalf("%.200s: %v", text, err)
		}
	}
}

// Copy fills a table from a CSV file with a header; empty cells are null.
func (s *Server) Copy(t testing.TB, table, path string) {
	t.Helper()
	ctx := context.Background()
	c, err := s.Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := c.PgConn().CopyFrom(ctx, f, "COPY "+table+" FROM STDIN (FORMAT csv, HEADER true)"); err != nil {
		t.Fatalf("copy %s: %v", table, err)
	}
}

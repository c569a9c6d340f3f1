package chaos

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// ownsPort says whether a process owns the local end of a TCP connection on
// IPv4. The proxy sees only a port; the system knows whose it is.
func ownsPort(pid int, addr *net.TCPAddr) bool {
	inode := socketInode(addr)
	if inode == "" {
		return false
	}
	want := "socket:[" + inode + "]"
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && target == want {
			return true
		}
	}
	return false
}

// socketInode finds the socket with this local address in the system's table.
func socketInode(addr *net.TCPAddr) string {
	ip := addr.IP.To4()
	if ip == nil {
		return ""
	}
	// The table has addresses as the machine stores them.
	want := fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], addr.Port)
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		// sl local remote state queues timer retransmits uid timeout inode
		if fields := strings.Fields(s.Text()); len(fields) > 9 && fields[1] == want {
			return fields[9]
		}
	}
	return ""
}

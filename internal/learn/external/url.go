package external

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

const maxURLBytes = 2048

// ParseURL reads the URL of an outbound call: absolute, http or https, with a
// host whose spelling leaves no doubt about what it names. Which hosts may be
// called is the server's configuration and judged elsewhere; an error says what
// is wrong and does not repeat the URL, which may hold a secret.
func ParseURL(text string) (*url.URL, error) {
	if len(text) > maxURLBytes {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(text), maxURLBytes)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Host == "":
		return nil, errors.New("want an absolute URL such as https://scores.example.com/v1/score")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("want the scheme https")
	case u.User != nil:
		return nil, errors.New("want no user or password in the URL; a token belongs into config.auth.token")
	case u.Fragment != "":
		return nil, errors.New("want no fragment")
	}
	if err := checkHost(u.Hostname(), strings.HasPrefix(u.Host, "[")); err != nil {
		return nil, err
	}
	return u, nil
}

// checkHost refuses the spellings that resolvers read in different ways.
func checkHost(host string, bracketed bool) error {
	if bracketed {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" {
			return errors.New("want an IPv6 address without a zone between the brackets")
		}
		return nil
	}
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > 253 || strings.ContainsFunc(name, notHostRune) || strings.Contains(name, "..") {
		return errors.New("want a host name of letters, digits, hyphens and dots; others in their ASCII form (xn--…)")
	}
	last := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	if !numeric(last) {
		return nil
	}
	// 127.1, 0x7f.1, 2130706433 and 0177.0.0.1 are IPv4 addresses to some
	// resolvers: the URL standard's rule for a last label that is a number.
	if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
		return errors.New("want an IPv4 address as four decimal numbers")
	}
	return nil
}

func notHostRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}

// numeric reports whether a label is a number, decimal or after 0x hexadecimal.
func numeric(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for _, c := range digits {
		if (c < '0' || c > '9') && (!hex || c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

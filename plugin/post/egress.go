package post

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/relay-sidecar/relay/plugin"
)

// SetEgress says where the client may connect to from now on. Requests that are
// under way end as they began; other connections are not used again.
func (c *Client) SetEgress(e plugin.Egress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Equal(e.Authorities, c.egress.Authorities) && slices.Equal(e.Allow, c.egress.Allow) {
		return
	}
	c.egress = e
	roots := c.roots
	if len(e.Authorities) > 0 {
		if roots == nil {
			var err error
			if roots, err = x509.SystemCertPool(); err != nil {
				roots = x509.NewCertPool() // a machine without any
			}
		}
		roots = roots.Clone()
		roots.AppendCertsFromPEM(e.Authorities)
	}
	if old := c.transport.Swap(newTransport(roots, e)); old != nil {
		old.CloseIdleConnections()
	}
}

// metadata is where clouds tell a machine its credentials, as far as that is
// not a link-local address: Alibaba's, Oracle's, and Amazon's on IPv6.
func metadata() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254")}
}

// permits is the dialer's last question before it connects: names are resolved
// by then, so that none can stand for an address that is refused.
func permits(e plugin.Egress) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		ip := embedded(target.Addr().Unmap().WithZone(""))
		what := ""
		switch {
		case ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast():
			what = "is a link-local address"
		case slices.Contains(metadata(), ip):
			what = "serves a cloud's metadata"
		}
		if what == "" || slices.ContainsFunc(e.Allow, func(n netip.Prefix) bool { return n.Contains(ip) }) {
			return nil
		}
		return fmt.Errorf("%s %s; list it in egress.allow if events shall go there", ip, what)
	}
}

// embedded is the IPv4 address that a NAT64 address stands for (RFC 6052).
func embedded(ip netip.Addr) netip.Addr {
	if !netip.MustParsePrefix("64:ff9b::/96").Contains(ip) {
		return ip
	}
	all := ip.As16()
	return netip.AddrFrom4([4]byte(all[12:]))
}

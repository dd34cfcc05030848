package post

import (
	"net/netip"
	"strings"
)

// Loopback reports whether a URL's host name is this machine: localhost or an
// address of loopback.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

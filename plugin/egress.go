package plugin

import (
	"fmt"
	"net/netip"

	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Networked is a Provider that keeps to the operator's `egress`. A provider
// whose client is a post.Client passes it on:
//
//	func (p *Provider) SetEgress(e plugin.Egress) { p.client.SetEgress(e) }
type Networked interface {
	// SetEgress says where the provider may connect to from now on. It may be
	// called at any time; what is under way ends as it began.
	SetEgress(e Egress)
}

// Egress says where a provider may connect to, and whom it trusts there. The
// zero Egress opens all but link-local addresses and those where clouds serve a
// machine's credentials.
type Egress struct {
	Authorities []byte         // PEM of certificates that are trusted beside the system's
	Allow       []netip.Prefix // networks that are allowed all the same
}

func decodeEgress(in *pluginpb.Egress) (Egress, error) {
	e := Egress{Authorities: in.GetAuthorities()}
	for _, text := range in.GetAllow() {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return e, fmt.Errorf("egress: %w", err)
		}
		e.Allow = append(e.Allow, network)
	}
	return e, nil
}

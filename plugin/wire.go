package plugin

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

const (
	// ProtocolVersion is the version of provider.proto, negotiated in the handshake.
	ProtocolVersion = 1
	// MaxFrame bounds one gRPC message in both directions: an event is at most
	// a few MiB, and frames carry several.
	MaxFrame = 16 << 20
	// ParentFD is the pipe whose end tells a plugin that relay is gone.
	ParentFD = 3
)

// Handshake is what relay and a plugin agree on before they speak. The cookie
// only keeps a person from running a plugin by hand; it protects nothing.
func Handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{
		ProtocolVersion:  ProtocolVersion,
		MagicCookieKey:   "RELAY_PLUGIN",
		MagicCookieValue: "3f0d1d5cf1d94f5f8a5f9d5c7b1f2e60",
	}
}

// PluginSet names the services of the protocol for go-plugin: a plugin passes
// the servers that it has, relay passes nil and gets a [Conn] for each.
func PluginSet(provider pluginpb.ProviderServer, scripts pluginpb.ScriptsServer) goplugin.PluginSet {
	return goplugin.PluginSet{ServiceProvider: &service{provider: provider, scripts: scripts}}
}

// ServiceProvider is the name under which a plugin is dispensed.
const ServiceProvider = "plugin"

// Conn is relay's end of a plugin's connection. Exited ends when the process
// has ended, noticed at once and not at the next call.
type Conn struct {
	grpc.ClientConnInterface
	Exited context.Context
}

type service struct {
	goplugin.NetRPCUnsupportedPlugin
	provider pluginpb.ProviderServer
	scripts  pluginpb.ScriptsServer
}

var _ goplugin.GRPCPlugin = (*service)(nil)

func (s *service) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	if s.provider != nil {
		pluginpb.RegisterProviderServer(server, s.provider)
	}
	if s.scripts != nil {
		pluginpb.RegisterScriptsServer(server, s.scripts)
	}
	return nil
}

func (s *service) GRPCClient(ctx context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &Conn{ClientConnInterface: conn, Exited: ctx}, nil
}

package plugin

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/relay-sidecar/relay/plugin/pluginpb"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Serve runs a provider as a plugin process and returns when relay has ended
// it. Call it from main and do nothing else. Standard output belongs to the
// handshake: log with Settings.Logger.
func Serve(p Provider) {
	s := newServer(p, Logger(os.Stderr))
	// relay replaces a process in which a render cannot be ended as soon as its
	// deliveries are done. One that does not must not leave it running for ever.
	s.broken = sync.OnceFunc(func() { time.AfterFunc(brokenFor, func() { os.Exit(1) }) })
	ServeProcess(s, nil)
}

// brokenFor is longer than any delivery takes.
const brokenFor = 2 * time.Minute

// ServeProcess is Serve for other services of the protocol: it is how relay's
// own script child runs.
func ServeProcess(provider pluginpb.ProviderServer, scripts pluginpb.ScriptsServer) {
	// Rendering makes much short-lived garbage over a small live heap. At Go's
	// default the collector would run every few dozen messages.
	debug.SetGCPercent(gcPercent)
	boundData()
	render.LimitRegularExpressions()
	endWithParent()
	// relay ends its plugins through the protocol, after their deliveries. A
	// signal to the whole group must not cut those short.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: PluginSet(provider, scripts)},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(MaxFrame), grpc.MaxSendMsgSize(MaxFrame))...)
		},
		// go-plugin's own words matter only to who debugs it.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	})
}

// gcPercent trades a few MiB of heap for most of the collector's work.
const gcPercent = 400

// endWithParent ends this process when relay is gone, also when relay was
// killed: the other end of the pipe then closes. A parent-death signal would
// be tied to the thread that started us, and kill healthy plugins.
func endWithParent() {
	var stat syscall.Stat_t
	if syscall.Fstat(ParentFD, &stat) != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return // not started by relay
	}
	pipe := os.NewFile(ParentFD, "parent")
	go func() { // ends with the process
		io.Copy(io.Discard, pipe)
		os.Exit(0)
	}()
}

// Logger writes to w the JSON lines that relay reads from a plugin's standard
// error and logs as its own.
func Logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug, // relay's own level decides
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 {
				return a
			}
			switch a.Key {
			case slog.TimeKey:
				return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
			case slog.LevelKey:
				return slog.String("@level", strings.ToLower(a.Value.String()))
			case slog.MessageKey:
				return slog.Attr{Key: "@message", Value: a.Value}
			}
			return a
		},
	}))
}

package pluginhost

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/relay-sidecar/relay/plugin"
)

const (
	// startTimeout bounds a plugin's way to its handshake.
	startTimeout = 10 * time.Second
	// stopTimeout bounds a plugin's own way out before it is killed.
	stopTimeout = 2 * time.Second
)

// process is one running plugin.
type process struct {
	conn   *plugin.Conn
	pid    int
	client *goplugin.Client
	dir    string
}

// start runs "relay plugin serve name" and shakes hands with it. Everything is
// made anew for each start: a go-plugin Client cannot be used twice. memory is
// what the process may use; 0 says nothing about it.
func (h *Host) start(name string, memory int64, logger *slog.Logger) (*process, error) {
	dir, err := h.socketDir()
	if err != nil {
		return nil, fmt.Errorf("make a socket directory: %w", err)
	}
	cmd := exec.Command(h.o.Executable, "plugin", "serve", name)
	cmd.Env = append(allowedEnv(os.Environ()), "PLUGIN_UNIX_SOCKET_DIR="+dir)
	if memory > 0 {
		// Go's collector works harder from here on, before the bound is met.
		cmd.Env = append(cmd.Env, fmt.Sprintf("GOMEMLIMIT=%d", memory-memory/8))
	}
	cmd.ExtraFiles = []*os.File{h.parent} // fd 3, plugin.ParentFD
	// A group of its own: a signal meant for relay, such as ^C in a terminal,
	// must not cut deliveries short.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{plugin.ProtocolVersion: plugin.PluginSet(nil, nil)},
		Cmd:              cmd,
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		Logger:           hclogTo(logger, h.o.Mask),
		SyncStdout:       strayOutput{logger, h.o.Mask},
		SyncStderr:       strayOutput{logger, h.o.Mask},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(plugin.MaxFrame), grpc.MaxCallSendMsgSize(plugin.MaxFrame)),
		},
	})
	p := &process{client: client, dir: dir}
	rpc, err := client.Client()
	if cmd.Process != nil {
		p.pid = cmd.Process.Pid
	}
	if err == nil {
		var conn any
		if conn, err = rpc.Dispense(plugin.ServiceProvider); err == nil {
			p.conn = conn.(*plugin.Conn)
			return p, nil
		}
	}
	p.kill()
	return nil, fmt.Errorf("start plugin %s: %w", name, err)
}

// kill ends the process within stopTimeout and waits for its end: it asks
// first, and no answer means SIGKILL for the whole group. go-plugin's Kill has
// no deadline and would hang on a stopped process.
func (p *process) kill() {
	asked := make(chan struct{})
	go func() {
		p.client.Kill()
		close(asked)
	}()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-asked:
	case <-timer.C:
		if p.pid > 0 {
			syscall.Kill(-p.pid, syscall.SIGKILL)
		}
		<-asked
	}
	os.RemoveAll(p.dir)
}

// allowedEnv is the part of relay's environment that plugins see.
func allowedEnv(env []string) []string {
	var out []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToUpper(name) {
		case "PATH", "HOME", "TZ", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR":
			out = append(out, kv)
		}
	}
	return out
}

// strayOutput warns of what a plugin prints where only the handshake belongs.
type strayOutput struct {
	logger *slog.Logger
	mask   func(string) string
}

func (s strayOutput) Write(b []byte) (int, error) {
	if text := strings.TrimSpace(string(b)); text != "" {
		s.logger.Warn("plugin printed", "text", s.mask(text))
	}
	return len(b), nil
}

// hclogTo is a logger for go-plugin that ends up in relay's own.
func hclogTo(logger *slog.Logger, mask func(string) string) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: discard{}, Level: hclog.Trace})
	l.RegisterSink(&sink{logger, mask}) // go-hclog uses it as a map key
	return l
}

// discard takes what the sink already has.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

type sink struct {
	logger *slog.Logger
	mask   func(string) string
}

// Accept writes one record of a plugin, or of go-plugin itself, which has no
// name. The latter tells of every step of a start and an end; that is for who
// debugs it.
func (s *sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	l := slog.LevelDebug
	switch level {
	case hclog.Info:
		if name != "" {
			l = slog.LevelInfo
		}
	case hclog.Warn:
		l = slog.LevelWarn
	case hclog.Error:
		l = slog.LevelError
	}
	ctx := context.Background()
	if !s.logger.Enabled(ctx, l) {
		return
	}
	for i := 1; i < len(args); i += 2 {
		args[i] = s.mask(fmt.Sprint(args[i]))
	}
	s.logger.Log(ctx, l, s.mask(msg), args...)
}

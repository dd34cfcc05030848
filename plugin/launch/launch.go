// Package launch starts a plugin's process and shakes hands with it: what relay
// does with the plugins that it runs, and what the conformance kit does with
// the one that it checks.
//
// hashicorp/go-plugin gives the handshake, the connection and the log pipe.
// What it leaves open is done here: ending a process is bounded, its socket
// stands in a directory of its own, it ends with whoever started it (a pipe on
// fd 3 closes), the environment that it sees is an allow-list, and what goes
// wrong is said in words that name the file and the remedy.
package launch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/relay-sidecar/relay/plugin"
)

const (
	// startTimeout bounds a plugin's way to its handshake.
	startTimeout = 10 * time.Second
	// connectTimeout bounds the first words on the socket.
	connectTimeout = 3 * time.Second
	// stopTimeout bounds a plugin's own way out before it is killed.
	stopTimeout = 2 * time.Second
)

// Command says what to start.
type Command struct {
	// File is what faults are said about, such as the file that the operator put
	// there. Path is what runs, perhaps a copy of it; empty: File.
	File, Path string
	Args       []string
	Dir        string   // where it runs; empty: where the caller does
	Env        []string // beyond the allow-list, NAME=value
	AutoMTLS   bool
	Sockets    string   // a directory of its own, which is removed with the process
	Parent     *os.File // fd 3: its end tells the plugin that its parent is gone
	Logger     *slog.Logger
	Mask       func(string) string // takes secrets out of what it logs and prints
	Stderr     func(line string)   // gets what it writes there, unmasked; may be nil
}

// Process is one running plugin.
type Process struct {
	Conn *plugin.Conn
	PID  int

	cmd     *exec.Cmd
	client  *goplugin.Client
	dir     string
	words   *lastWords
	mask    func(string) string
	abandon context.CancelFunc // kills the process group
}

// Start runs a plugin and shakes hands with it. When ctx ends before they have,
// the process is killed at once; afterwards ctx is of no meaning to it.
// Everything is made anew for each start: a go-plugin Client cannot be used twice.
func Start(ctx context.Context, c Command) (*Process, error) {
	if c.Path == "" {
		c.Path = c.File
	}
	if c.Mask == nil {
		c.Mask = func(s string) string { return s }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	words := &lastWords{more: c.Stderr}
	started, abandon := context.WithCancel(context.WithoutCancel(ctx))
	cmd := exec.CommandContext(started, c.Path, c.Args...)
	// go-plugin waits for the handshake with no way to stop it but this one.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Dir = c.Dir
	cmd.Env = slices.Concat(allowedEnv(os.Environ()), c.Env, []string{"PLUGIN_UNIX_SOCKET_DIR=" + c.Sockets})
	cmd.ExtraFiles = []*os.File{c.Parent} // fd 3, plugin.ParentFD
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
		AutoMTLS:         c.AutoMTLS,
		Logger:           hclogTo(c.Logger, c.Mask),
		Stderr:           words,
		SyncStdout:       strayOutput{c.Logger, c.Mask},
		SyncStderr:       strayOutput{c.Logger, c.Mask},
		GRPCDialOptions: []grpc.DialOption{
			// The other end is on this machine: what does not speak now never will.
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(plugin.MaxFrame), grpc.MaxCallSendMsgSize(plugin.MaxFrame)),
		},
	})
	p := &Process{cmd: cmd, client: client, dir: c.Sockets, words: words, mask: c.Mask, abandon: abandon}
	shaken := context.AfterFunc(ctx, abandon)
	rpc, err := client.Client()
	if !shaken() && err == nil {
		err = context.Cause(ctx)
	}
	if cmd.Process != nil {
		p.PID = cmd.Process.Pid
	}
	if err == nil {
		var conn any
		if conn, err = rpc.Dispense(plugin.ServiceProvider); err == nil {
			p.Conn = conn.(*plugin.Conn)
			return p, nil
		}
	}
	p.Abandon()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start %s: %w", c.File, context.Cause(ctx))
	}
	return nil, explain(c, err, cmd, words.String())
}

// Abandon kills a process that has done no work yet, without asking it first.
func (p *Process) Abandon() {
	p.abandon()
	p.killGroup()
	p.Kill()
}

// Kill ends the process within stopTimeout and waits for its end: it asks
// first, and no answer means SIGKILL for the whole group. go-plugin's Kill has
// no deadline and would hang on a stopped process.
func (p *Process) Kill() {
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
		p.killGroup()
		<-asked
	}
	p.killGroup() // what an interpreter's wrapper may have left behind
	p.abandon()
	os.RemoveAll(p.dir)
}

func (p *Process) killGroup() {
	if p.PID > 0 {
		syscall.Kill(-p.PID, syscall.SIGKILL)
	}
}

// Ended is how the process ended, once it has: an exit status or a signal.
func (p *Process) Ended() string {
	if p.cmd.ProcessState == nil {
		return ""
	}
	return p.cmd.ProcessState.String()
}

// LastWords are what it wrote to standard error first and last, in one line and
// without secrets. They are complete once it has ended.
func (p *Process) LastWords() string { return p.mask(p.words.String()) }

// allowedEnv is the part of the environment that plugins see.
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

// Reserved reports whether a variable is the protocol's own, so that nobody
// else may set it.
func Reserved(name string) bool {
	return strings.HasPrefix(name, "PLUGIN_") || name == plugin.Handshake().MagicCookieKey
}

// Error is why a plugin does not run: the file, what is wrong with it, and what
// to do.
type Error struct {
	File string
	What string
	Hint string // may be empty
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s %s", e.File, e.What)
	}
	return fmt.Sprintf("%s %s; %s", e.File, e.What, e.Hint)
}

package pluginhost

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/launch"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// ScriptsName is the name under which relay's own script child is served.
const ScriptsName = "script"

// Scripts is the built-in child that compiles templates and runs source
// scripts. It is started by the first call and again by the first one after it
// died: a source that ends its compiler or its engine ends nobody else's work.
// It is a client of the protocol's Scripts service, whichever process serves it.
type Scripts struct {
	host   *Host
	image  *image
	logger *slog.Logger

	mu       sync.Mutex // guards the fields below; held while the child starts
	proc     *launch.Process
	restarts int
}

// Scripts is the script child of this host.
func (h *Host) Scripts() *Scripts {
	return &Scripts{host: h, image: &image{source: Source{Name: ScriptsName, Origin: originBuiltIn, Memory: scriptsMemory}, path: h.o.Executable}, logger: h.o.Logger.With("plugin", ScriptsName)}
}

// scriptsMemory is what the child's collector aims at.
const scriptsMemory = 256 << 20

// compileTimeout bounds one compilation of all templates.
const compileTimeout = 30 * time.Second

var _ pluginpb.ScriptsClient = (*Scripts)(nil)

// Compile calls the child.
func (s *Scripts) Compile(ctx context.Context, in *pluginpb.CompileRequest, o ...grpc.CallOption) (*pluginpb.CompileResponse, error) {
	return call(ctx, s, compileTimeout, func(ctx context.Context, c pluginpb.ScriptsClient) (*pluginpb.CompileResponse, error) {
		return c.Compile(ctx, in, o...)
	})
}

// Convert calls the child.
func (s *Scripts) Convert(ctx context.Context, in *pluginpb.ConvertRequest, o ...grpc.CallOption) (*pluginpb.ConvertResponse, error) {
	return call(ctx, s, callTimeout, func(ctx context.Context, c pluginpb.ScriptsClient) (*pluginpb.ConvertResponse, error) {
		return c.Convert(ctx, in, o...)
	})
}

// Answer calls the child.
func (s *Scripts) Answer(ctx context.Context, in *pluginpb.AnswerRequest, o ...grpc.CallOption) (*pluginpb.AnswerResponse, error) {
	return call(ctx, s, callTimeout, func(ctx context.Context, c pluginpb.ScriptsClient) (*pluginpb.AnswerResponse, error) {
		return c.Answer(ctx, in, o...)
	})
}

// Render calls the child.
func (s *Scripts) Render(ctx context.Context, in *pluginpb.RenderRequest, o ...grpc.CallOption) (*pluginpb.RenderResponse, error) {
	return call(ctx, s, callTimeout, func(ctx context.Context, c pluginpb.ScriptsClient) (*pluginpb.RenderResponse, error) {
		return c.Render(ctx, in, o...)
	})
}

// call makes one bounded call. A child that does not answer in time is ended:
// what it runs cannot always be interrupted.
func call[T any](ctx context.Context, s *Scripts, timeout time.Duration, f func(context.Context, pluginpb.ScriptsClient) (T, error)) (out T, err error) {
	p, err := s.child()
	if err != nil {
		return out, err
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, err = f(bounded, pluginpb.NewScriptsClient(p.Conn))
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		s.drop(p)
		return out, fmt.Errorf("the script child did not answer within %s and was ended", timeout)
	}
	return out, err
}

// child is the running child, started where there is none.
func (s *Scripts) child() (*launch.Process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil && s.proc.Conn.Exited.Err() == nil {
		return s.proc, nil
	}
	if s.host.ctx.Err() != nil {
		return nil, relay.ErrClosed
	}
	if s.proc != nil {
		s.proc.Kill() // clears what it left
		s.proc = nil
		s.restarts++
		s.logger.Warn("the script child ended and is started again", "restarts", s.restarts)
	}
	p, err := s.host.start(s.host.ctx, s.image)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
	}
	s.proc = p
	return p, nil
}

// drop ends a child that is of no more use.
func (s *Scripts) drop(p *launch.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == p {
		p.Kill()
		s.proc = nil
		s.restarts++
	}
}

// Close ends the child.
func (s *Scripts) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.Kill()
		s.proc = nil
	}
}

// Status tells of the child; false means that none runs.
func (s *Scripts) Status() (Status, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil || s.proc.Conn.Exited.Err() != nil {
		return Status{}, false
	}
	return Status{Name: ScriptsName, Origin: originBuiltIn, PID: s.proc.PID, Memory: residentSize(s.proc.PID), State: StateReady, Restarts: s.restarts}, true
}

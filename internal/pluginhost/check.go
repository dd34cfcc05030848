package pluginhost

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/relay-sidecar/relay/plugin/launch"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// maxChecks bounds what a session remembers; a configuration has fewer.
const maxChecks = 1000

// wordsTimeout bounds the wait for the last words of a process whose connection
// broke: it is ending.
const wordsTimeout = time.Second

// check is one question about settings.
type check struct {
	answered chan struct{}
	resp     *pluginpb.CheckResponse
	err      error
	late     bool // somebody waited no longer; guarded by the session's mu
}

// check asks about settings. When ctx ends first, the question goes on, and its
// answer is kept for who asks again.
func (s *session) check(ctx context.Context, settings []*pluginpb.Settings) (*pluginpb.CheckResponse, error) {
	in := &pluginpb.CheckRequest{Settings: settings}
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(in)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(text)
	s.mu.Lock()
	c := s.checks[key]
	if c == nil && s.closed {
		s.mu.Unlock()
		return nil, s.whyNot(status.Error(codes.Unavailable, s.reason.Error()))
	}
	if c == nil {
		c = &check{answered: make(chan struct{})}
		if len(s.checks) >= maxChecks {
			clear(s.checks)
		}
		s.checks[key] = c
		s.wg.Go(func() { s.answer(key, c, in) })
	}
	s.mu.Unlock()
	select {
	case <-c.answered:
		return c.resp, c.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-c.answered:
		return c.resp, c.err
	default:
		c.late = true
		return nil, &launch.Error{File: s.file, What: "has not said yet what it makes of its settings"}
	}
}

// answer asks the process, and keeps its answer where nobody waits for it.
func (s *session) answer(key [sha256.Size]byte, c *check, in *pluginpb.CheckRequest) {
	ctx, cancel := context.WithTimeout(s.stream.Context(), callTimeout)
	defer cancel()
	c.resp, c.err = s.client.Check(ctx, in)
	if c.err != nil {
		c.err = s.whyNot(c.err)
	}
	s.mu.Lock()
	late := c.late && c.err == nil
	if !late && s.checks[key] == c {
		delete(s.checks, key) // asked again, it is asked anew
	}
	close(c.answered)
	s.mu.Unlock()
	if late {
		s.late()
	}
}

// whyNot puts why a process does not answer Check into words for who has to
// mend it.
func (s *session) whyNot(err error) error {
	ended := s.proc.Conn.Exited
	if status.Code(err) == codes.Unavailable {
		select {
		case <-ended.Done():
		case <-time.After(wordsTimeout):
		}
	}
	e := &launch.Error{File: s.file}
	switch {
	case ended.Err() != nil:
		e.What = fmt.Sprintf("ended while it was asked about settings (%s)", s.proc.Ended())
		if words := s.proc.LastWords(); words != "" {
			e.What += "; its last words: " + words
		}
	case status.Code(err) == codes.DeadlineExceeded:
		e.What, e.Hint = fmt.Sprintf("does not answer Check within %s", callTimeout), "Check is answered at once, without network"
	default:
		e.What = "does not check its settings: " + status.Convert(err).Message()
	}
	return e
}

package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

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

// lastWords keeps the beginning and the end of what a plugin wrote to standard
// error, for who must say why it does not run: what failed stands first in a
// stack trace.
type lastWords struct {
	more func(string)

	mu    sync.Mutex // guards the fields below
	lines []string
	rest  []byte
}

const (
	keptFirst = 3
	keptLines = 5
	keptBytes = 300
)

func (l *lastWords) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, after, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			break
		}
		text := strings.TrimSpace(string(line))
		l.rest = append([]byte(nil), after...)
		if l.more != nil {
			l.more(text)
		}
		var record struct {
			Message string `json:"@message"`
		}
		if json.Unmarshal([]byte(text), &record) == nil && record.Message != "" {
			text = record.Message
		}
		if text == "" {
			continue
		}
		if l.lines = append(l.lines, text[:min(len(text), keptBytes)]); len(l.lines) > keptLines {
			l.lines = append(l.lines[:keptFirst], l.lines[keptFirst+1:]...)
		}
	}
	if len(l.rest) > keptBytes {
		l.rest = l.rest[:keptBytes]
	}
	return len(b), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, " / ")
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

// taken are keys of relay's own in each line of a plugin.
var taken = []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, "plugin", "process"}

// Accept writes one record of a plugin, or of go-plugin itself, which has no
// name or that of its stdio. The latter tells of every step of a start and an end, for who debugs
// it: whoever starts a plugin says what came of it.
func (s *sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	l := slog.LevelDebug
	if name != "" && name != "stdio" {
		switch level {
		case hclog.Info:
			l = slog.LevelInfo
		case hclog.Warn:
			l = slog.LevelWarn
		case hclog.Error:
			l = slog.LevelError
		}
	}
	ctx := context.Background()
	if !s.logger.Enabled(ctx, l) {
		return
	}
	seen := slices.Clone(taken)
	for i := 0; i+1 < len(args); i += 2 {
		key := fmt.Sprint(args[i])
		for slices.Contains(seen, key) {
			key = "own_" + key
		}
		seen = append(seen, key)
		args[i], args[i+1] = key, s.mask(fmt.Sprint(args[i+1]))
	}
	s.logger.Log(ctx, l, s.mask(msg), args...)
}

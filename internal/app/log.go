package app

import (
	"io"
	"log/slog"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
)

// newLogger writes one line a record to standard error, with every secret of
// the configuration taken out whoever put it in.
func (a *App) newLogger(c config.Log) *slog.Logger {
	a.level.Set(logLevel(c.Level))
	w := maskWriter{a.o.Stderr, a.masker}
	o := &slog.HandlerOptions{Level: &a.level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func logLevel(name string) slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo // the configuration takes known names only
	}
	return l
}

func discardLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// maskWriter gets whole records: slog writes each by one call.
type maskWriter struct {
	w      io.Writer
	masker *relay.Masker
}

func (m maskWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(m.w, m.masker.Mask(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

package plugin

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/relay-sidecar/relay"
)

// masked takes a destination's secrets out of what its provider logs: relay
// knows the settings' secrets, and not what a provider makes of them.
type masked struct {
	slog.Handler
	masker *relay.Masker
}

func (h masked) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, h.masker.Mask(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

func (h masked) WithAttrs(attrs []slog.Attr) slog.Handler {
	return masked{h.Handler.WithAttrs(h.attrs(attrs)), h.masker}
}

func (h masked) WithGroup(name string) slog.Handler {
	return masked{h.Handler.WithGroup(name), h.masker}
}

func (h masked) attrs(all []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(all))
	for i, a := range all {
		out[i] = h.attr(a)
	}
	return out
}

func (h masked) attr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, h.masker.Mask(v.String()))
	case slog.KindAny: // errors among them
		return slog.String(a.Key, h.masker.Mask(fmt.Sprint(v.Any())))
	case slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(h.attrs(v.Group())...)}
	}
	return a
}

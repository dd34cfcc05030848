package app

import (
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// limits keep clients that are slow, many or long-winded, on purpose or not,
// from taking the door away from the others.
type limits struct {
	header time.Duration // to send a request's header
	body   time.Duration // to send a request, its header included
	idle   time.Duration // between two requests
	answer time.Duration // to take what is written at once; the next write has as long again
	bytes  int           // of a request's header

	connections int // of one listener at a time; further ones wait to be accepted
}

func (a *App) limits() limits {
	return limits{
		header: 10 * time.Second, body: time.Minute, idle: 2 * time.Minute, answer: 30 * time.Second, bytes: 64 << 10,
		connections: a.current.Load().cfg.Server.MaxConnections,
	}
}

// server serves h within the limits.
func (l limits) server(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: l.header, ReadTimeout: l.body, IdleTimeout: l.idle, MaxHeaderBytes: l.bytes,
		// No WriteTimeout: it counts from the request on, and some answers take
		// as long as an attempt does.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// listener accepts within the limits.
func (l limits) listener(inner net.Listener) net.Listener {
	return netutil.LimitListener(&impatient{inner, l.answer}, l.connections)
}

// impatient is a listener whose connections end when a write is not taken in
// time: who asks and does not read would hold on to one for ever.
type impatient struct {
	net.Listener
	limit time.Duration
}

func (i *impatient) Accept() (net.Conn, error) {
	c, err := i.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &impatientConn{c, i.limit}, nil
}

type impatientConn struct {
	net.Conn
	limit time.Duration
}

func (c *impatientConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

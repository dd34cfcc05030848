package api

import (
	"context"
	_ "embed" // openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// Operations are what an operator does with the log beside reading it.
type Operations interface {
	// ReplayAll replays what a filter selects and is over, the oldest first, or
	// only counts it. progress is told how far it is.
	ReplayAll(ctx context.Context, f relay.DeliveryFilter, dry bool, progress func(Replayed)) (Replayed, error)
	// ReplayEvent routes an event again. It fails with relay.ErrNotFound,
	// relay.ErrUnfinished or relay.ErrBacklogFull.
	ReplayEvent(ctx context.Context, id string) ([]relay.Delivery, error)
	// Explain tells the story of an event. It fails with relay.ErrNotFound.
	Explain(ctx context.Context, id string) (Explanation, error)
	// Purge forgets a person.
	Purge(ctx context.Context, name string) (relay.Purged, error)
	// Backup is a copy of the store, and its size in bytes.
	Backup(ctx context.Context) (io.ReadCloser, int64, error)
}

// Replayed is the answer of POST /v1/replay.
type Replayed struct {
	Matched    int    `json:"matched"`           // deliveries that are over
	Replayed   int    `json:"replayed"`          // new ones that were made
	Unfinished int    `json:"unfinished"`        // deliveries that match as well and are not over: they are left alone
	Stopped    string `json:"stopped,omitempty"` // why not all were replayed
}

// Explanation is the answer of GET /v1/events/{id}/explain.
type Explanation struct {
	ID      string      `json:"id"`
	Key     string      `json:"key"`
	Source  string      `json:"source"`
	Type    string      `json:"type"`
	Level   relay.Level `json:"level"`
	Title   string      `json:"title"`
	Created relay.Time  `json:"created"`
	// Own says what an event of relay's own is, which it sends to one destination
	// whatever the configuration says: test or alert. Empty: somebody posted it.
	Own          string          `json:"own"`
	Config       ExplainedConfig `json:"config"`
	Destinations []Considered    `json:"destinations"` // of an event of relay's own only those that got it
}

// What events of relay's own are.
const (
	OwnTest  = "test"
	OwnAlert = "alert"
)

// ExplainedConfig is the configuration whose reasons an explanation tells: that
// which runs.
type ExplainedConfig struct {
	Revision string     `json:"revision"`
	Loaded   relay.Time `json:"loaded"`
	Newer    bool       `json:"newer"` // than the event, which perhaps another one routed
}

// Considered is a destination in an explanation, with what it got.
type Considered struct {
	Name       string           `json:"name"`
	Provider   string           `json:"provider"`
	Configured bool             `json:"configured"`
	Takes      bool             `json:"takes"` // as the configuration is now
	Reason     string           `json:"reason"`
	Deliveries []relay.Delivery `json:"deliveries"` // each with its match and its log
}

// ReplayAll is the handler of POST /v1/replay.
func (d *Door) ReplayAll(w http.ResponseWriter, r *http.Request) {
	f, in, p := readReplay(w, r)
	if p != nil {
		p.Write(w)
		return
	}
	noDeadline(w)
	if !in.progress {
		done, err := d.Operations.ReplayAll(r.Context(), f, in.dry, func(Replayed) {})
		if err != nil {
			d.fail(w, err, "")
			return
		}
		write(w, done)
		return
	}
	lines := json.NewEncoder(w)
	began := false
	line := func(done Replayed) {
		if !began {
			w.Header().Set("Content-Type", "application/x-ndjson")
			began = true
		}
		_ = lines.Encode(done) // a client that left shows in the context
		_ = http.NewResponseController(w).Flush()
	}
	done, err := d.Operations.ReplayAll(r.Context(), f, in.dry, line)
	switch {
	case err != nil && !began:
		d.fail(w, err, "")
		return
	case err != nil:
		d.Logger.Error("a replay ended early", "error", err, "matched", done.Matched, "replayed", done.Replayed)
		done.Stopped = "it failed; relay's log says why"
	}
	line(done)
}

// replayFilters are the filters of a replay: those of the log, but a replay has no pages.
var replayFilters = filters[:len(filters)-2]

type replayOptions struct{ dry, progress bool }

// readReplay reads {"destination", "state", …, "dry_run", "progress"}.
func readReplay(w http.ResponseWriter, r *http.Request) (f relay.DeliveryFilter, o replayOptions, p *problem.Problem) {
	read := &reading{values: url.Values{}, known: replayFilters, prefix: "$."}
	known := fields{"dry_run": flag(&o.dry), "progress": flag(&o.progress)}
	for _, key := range replayFilters {
		known[key] = func(value json.RawMessage, path string) []problem.Fault {
			var s string
			faults := text(&s)(value, path)
			read.values.Set(key, s)
			return faults
		}
	}
	faults, p := readFields(w, r, maxBody, known)
	if p != nil {
		return f, o, p
	}
	f, more := read.deliveries()
	if p = refuse(append(faults, more...)); p == nil && strings.Join(used(read.values), "") == "" {
		p = problem.New(http.StatusBadRequest, "name at least one filter: "+strings.Join(replayFilters, ", "))
	}
	return f, o, p
}

// used are the values of a filter.
func used(v url.Values) (all []string) {
	for _, values := range v {
		all = append(all, values...)
	}
	return all
}

// ReplayEvent is the handler of POST /v1/events/{id}/replay.
func (d *Door) ReplayEvent(w http.ResponseWriter, r *http.Request) {
	if !readBody(w, r, maxBody, nil) {
		return
	}
	id := r.PathValue("id")
	rows, err := d.Operations.ReplayEvent(r.Context(), id)
	if errors.Is(err, relay.ErrUnfinished) {
		problem.New(http.StatusConflict, fmt.Sprintf("event %s has deliveries that are not over yet; only what is over can be replayed", id)).Write(w)
		return
	}
	if err != nil {
		d.fail(w, err, fmt.Sprintf("there is no event %q", id))
		return
	}
	write(w, struct {
		ID         string           `json:"id"`
		Deliveries []relay.Delivery `json:"deliveries"`
	}{id, orEmpty(rows)})
}

// Explain is the handler of GET /v1/events/{id}/explain.
func (d *Door) Explain(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	story, err := d.Operations.Explain(r.Context(), id)
	if err != nil {
		d.fail(w, err, fmt.Sprintf("there is no event %q", id))
		return
	}
	write(w, story)
}

// Purge is the handler of POST /v1/events/purge.
func (d *Door) Purge(w http.ResponseWriter, r *http.Request) {
	who := ""
	const shortest = 3 // less is no email, phone or id
	faults, p := readFields(w, r, maxBody, fields{"recipient": text(&who)})
	who = strings.TrimSpace(who)
	faults = unless(len(who) >= shortest, faults, "$.recipient", "is not the email, phone or id of a person")
	if p == nil {
		p = refuse(faults)
	}
	if p != nil {
		p.Write(w)
		return
	}
	noDeadline(w)
	done, err := d.Operations.Purge(r.Context(), who)
	if err != nil {
		d.fail(w, err, "")
		return
	}
	write(w, done)
}

// Backup is the handler of POST /v1/store/backup: a copy of the store's database.
func (d *Door) Backup(w http.ResponseWriter, r *http.Request) {
	if !readBody(w, r, maxBody, nil) {
		return
	}
	noDeadline(w)
	copied, size, err := d.Operations.Backup(r.Context())
	if err != nil {
		d.fail(w, err, "")
		return
	}
	defer copied.Close()
	w.Header().Set("Content-Type", "application/vnd.sqlite3")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	if _, err := io.Copy(w, copied); err != nil && r.Context().Err() == nil {
		d.Logger.Warn("a backup was not sent to its end", "error", err)
	}
}

// noDeadline lets an answer take its time.
func noDeadline(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	// A writer that knows no deadlines has none.
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Time{})
}

//go:embed openapi.json
var openAPI []byte

// OpenAPI is the handler of GET /openapi.json.
func (d *Door) OpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(openAPI)
}

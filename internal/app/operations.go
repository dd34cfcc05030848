package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/templates"
)

// Replay makes a new delivery of what a finished one was about, with today's
// settings and template.
func (a *App) Replay(ctx context.Context, id string) (relay.Delivery, error) {
	made, lane, err := a.store.Replay(ctx, id)
	if err != nil {
		return relay.Delivery{}, err
	}
	row, err := a.store.Delivery(ctx, made)
	if err == nil {
		a.lookAgain(row.Destination, string(row.Recipient))
	}
	a.engine.Wake(lane)
	return row, err
}

// ReplayAll replays what a filter selects now, in the order of acceptance and in
// steps between which others have their turn. What comes to match meanwhile is
// not replayed.
func (a *App) ReplayAll(ctx context.Context, f relay.DeliveryFilter, dry bool, progress func(api.Replayed)) (api.Replayed, error) {
	seqs, unfinished, err := a.store.Finished(ctx, f)
	done := api.Replayed{Matched: len(seqs), Unfinished: unfinished}
	if err != nil || dry {
		return done, err
	}
	slices.Reverse(seqs)
	for len(seqs) > 0 {
		taken, made, lanes, err := a.store.ReplayAll(ctx, seqs)
		if errors.Is(err, relay.ErrBacklogFull) {
			done.Stopped = "too many deliveries are unfinished (store.max_pending, store.max_pending_per_destination)"
			return done, nil
		}
		if err != nil {
			return done, err
		}
		a.engine.Wake(lanes...)
		seqs, done.Replayed = seqs[taken:], done.Replayed+made
		progress(done)
	}
	return done, nil
}

// ReplayEvent routes an event again, by today's configuration.
func (a *App) ReplayEvent(ctx context.Context, id string) ([]relay.Delivery, error) {
	e, err := a.store.Event(ctx, id)
	if err != nil {
		return nil, err
	}
	wanted := a.Route(typeOf(e), e.Body)
	made, err := a.store.Reroute(ctx, id, wanted)
	if err != nil {
		return nil, err
	}
	for _, d := range wanted {
		a.engine.Wake(d.Lane())
	}
	if e, err = a.store.Event(ctx, id); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(e.Deliveries, func(d relay.Delivery) bool { return !slices.Contains(made, d.ID) }), nil
}

func typeOf(e relay.StoredEvent) string { return eventOf(e).Type }

func eventOf(e relay.StoredEvent) (out relay.Event) {
	_ = json.Unmarshal(e.Body, &out) // canonical JSON
	return out
}

// Explain tells what became of an event and, by the configuration that runs, why.
func (a *App) Explain(ctx context.Context, id string) (api.Explanation, error) {
	e, err := a.store.Event(ctx, id)
	if err != nil {
		return api.Explanation{}, err
	}
	now, said := a.current.Load(), eventOf(e)
	out := api.Explanation{
		ID: e.ID, Key: e.Key, Source: e.Source, Type: said.Type, Level: said.Level, Title: said.Title, Created: relay.Time{Time: e.Created}, Own: ownEvent(e, said),
		Config: api.ExplainedConfig{Revision: now.cfg.Revision, Loaded: relay.Time{Time: now.since}, Newer: now.since.After(e.Created)},
	}
	got := map[string][]relay.Delivery{}
	for _, row := range e.Deliveries {
		d, err := a.store.Delivery(ctx, row.ID)
		if errors.Is(err, relay.ErrNotFound) {
			continue // pruned since
		}
		if err != nil {
			return out, err
		}
		if d.Log == nil {
			d.Log = []relay.Attempt{}
		}
		got[d.Destination] = append(got[d.Destination], d)
	}
	for _, r := range now.routes.Explain(said.Type, e.Body) {
		if out.Own != "" {
			if got[r.Destination] == nil {
				continue // nobody asked it
			}
			r.Takes, r.Why = true, ownWords[out.Own]
		}
		out.Destinations = append(out.Destinations, api.Considered{
			Name: r.Destination, Provider: r.Provider, Configured: true, Takes: r.Takes, Reason: r.Why, Deliveries: notNil(got[r.Destination]),
		})
		delete(got, r.Destination)
	}
	for _, row := range e.Deliveries { // of destinations that are no more
		if left := got[row.Destination]; left != nil {
			out.Destinations = append(out.Destinations, api.Considered{
				Name: row.Destination, Provider: row.Provider, Reason: "it is not configured any more", Deliveries: left,
			})
			delete(got, row.Destination)
		}
	}
	out.Destinations = notNil(out.Destinations)
	return out, nil
}

// ownWords say why a destination got an event of relay's own.
var ownWords = map[string]string{
	api.OwnTest:  "a test, which relay destinations test sends to one destination, whatever its events and match say",
	api.OwnAlert: "an alert, which relay sends to alerts.destination, whatever its events and match say",
}

// ownEvent says what an event of relay's own is; empty: somebody posted it. An
// app may call itself relay, too.
func ownEvent(e relay.StoredEvent, said relay.Event) string {
	switch {
	case e.Source != testSource:
		return ""
	case said.Type == relay.TypeDestinationPaused: // nobody else may post it
		return api.OwnAlert
	}
	var of relay.Event
	if sample, ok := templates.Sample(said.Type); !ok || e.Key != "" || json.Unmarshal(sample, &of) != nil || of.Title != said.Title {
		return ""
	}
	return api.OwnTest
}

// Purge forgets a person on disk and in memory.
func (a *App) Purge(ctx context.Context, name string) (relay.Purged, error) {
	done, err := a.store.Purge(ctx, name)
	if err != nil {
		return done, err
	}
	left, err := a.store.Identities(ctx)
	if err != nil {
		return done, err
	}
	a.identities.Replace(left)
	a.logger.Info("a person's data was purged", "events", done.Events, "redacted", done.Redacted, "deliveries", done.Deliveries,
		"attempts", done.Attempts, "identities", done.Identities)
	return done, nil
}

// copies are the directories of copies that are on their way to somebody.
const copies = "backup-"

// Backup is a copy of the store. It lies beside the store until it is closed.
func (a *App) Backup(ctx context.Context) (io.ReadCloser, int64, error) {
	dir, err := os.MkdirTemp(a.storeDir, copies)
	if err != nil {
		return nil, 0, err
	}
	out := &copied{dir: dir}
	path := filepath.Join(dir, "relay.db")
	if err = a.store.Backup(ctx, path); err == nil {
		out.File, err = os.Open(path)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, 0, err
	}
	info, err := out.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, out.Close())
	}
	return out, info.Size(), nil
}

// copied is a copy that goes when it is closed.
type copied struct {
	*os.File
	dir string
}

func (c *copied) Close() error { return errors.Join(c.File.Close(), os.RemoveAll(c.dir)) }

// removeCopies removes what a killed relay left.
func (a *App) removeCopies() {
	left, _ := filepath.Glob(filepath.Join(a.storeDir, copies+"*")) // the pattern is good
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			a.logger.Warn("an old copy of the store stays behind", "path", dir, "error", err)
		}
	}
}

// BackupClosed copies the store in dir while no relay has it open.
func BackupClosed(ctx context.Context, dir, file string) error {
	return store.BackupClosed(ctx, dir, file)
}

//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

const (
	// followEvery is the time between two looks at the log.
	followEvery = time.Second
	// followPage is how many rows one look asks for at a time, and followRows how
	// many of the newest are watched for changes.
	followPage = 100
	followRows = 2000
)

// watched is what is known of the newest rows of the log.
type watched struct {
	seen map[string]string // id → its line
	// oldest is the id of the oldest row that is watched, empty: all are. What is
	// older and comes into sight, since others left it, is neither new nor changed.
	oldest string
}

// fresh notes a row and reports whether it came or changed.
func (w *watched) fresh(id, line string) bool {
	before, known := w.seen[id]
	if !known && id < w.oldest { // ids sort by time
		return false
	}
	w.seen[id] = line
	return before != line
}

// forget bounds what is remembered.
func (w *watched) forget() {
	if len(w.seen) <= 2*followRows {
		return
	}
	ids := slices.Sorted(maps.Keys(w.seen))
	for _, id := range ids[:len(ids)-followRows] {
		delete(w.seen, id)
	}
	w.oldest = ids[len(ids)-followRows]
}

// follow prints the newest deliveries and then, until ctx ends, every one that
// comes and every change of the newest ones.
func (c *cli) follow(ctx context.Context, server *client, filters map[string]string) error {
	if filters["cursor"] != "" || filters["until"] != "" {
		return &usageError{errors.New("--follow goes on with what comes: it takes neither --cursor nor --until")}
	}
	show := followPage // of the first look
	if n, err := strconv.Atoi(filters["limit"]); err == nil {
		show = n
	}
	// The first look sees at least as much as the later ones, whatever it shows.
	filters["limit"] = strconv.Itoa(max(show, followPage))
	w := &watched{seen: map[string]string{}}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for began := false; ; began = true {
		rows, more, err := c.newest(ctx, server, filters, w.seen, began)
		if ctx.Err() != nil {
			return nil // interrupted, which is how it ends
		}
		if err != nil {
			return err
		}
		if !began && more {
			w.oldest = rows[len(rows)-1].ID
		}
		for i, d := range slices.Backward(rows) { // the newest last
			line := strings.Join(columns(&d.Delivery), "  ")
			if !w.fresh(d.ID, line) || !began && i >= show {
				continue
			}
			if c.json {
				line = string(d.raw)
			}
			if _, err := fmt.Fprintln(c.stdout, line); err != nil {
				return err
			}
		}
		w.forget()
		filters["limit"] = strconv.Itoa(followPage)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// followed is a row of the log, and the same as relay answered it.
type followed struct {
	relay.Delivery
	raw json.RawMessage
}

func (f *followed) UnmarshalJSON(b []byte) error {
	f.raw = slices.Clone(b)
	return json.Unmarshal(b, &f.Delivery)
}

// newest asks for one page, or for as many as hold rows that are not known yet,
// and says whether there are older ones.
func (c *cli) newest(ctx context.Context, server *client, filters map[string]string, seen map[string]string, all bool) (rows []followed, more bool, err error) {
	delete(filters, "cursor")
	defer delete(filters, "cursor")
	for {
		var page struct {
			Deliveries []followed
			NextCursor string `json:"next_cursor"`
		}
		if err := server.do(ctx, "GET", query("/v1/deliveries", filters), nil, &page); err != nil {
			return nil, false, err
		}
		rows, more = append(rows, page.Deliveries...), page.NextCursor != ""
		known := slices.ContainsFunc(page.Deliveries, func(d followed) bool { return seen[d.ID] != "" })
		if !all || known || len(seen) == 0 || !more || len(rows) >= followRows {
			return rows, more, nil
		}
		filters["cursor"] = page.NextCursor
	}
}

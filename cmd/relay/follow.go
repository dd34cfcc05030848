//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

const (
	// followEvery is the time between two looks at the log.
	followEvery = time.Second
	// followPage is how many rows one look asks for at a time, and followRows how
	// many of the newest are watched for changes.
	followPage = "100"
	followRows = 2000
)

// follow prints the newest deliveries and then, until ctx ends, every one that
// comes and every change of the newest ones.
func (c *cli) follow(ctx context.Context, server *client, filters map[string]string) error {
	if filters["cursor"] != "" || filters["until"] != "" {
		return &usageError{errors.New("--follow goes on with what comes: it takes neither --cursor nor --until")}
	}
	first := filters["limit"]
	seen := map[string]string{} // id → what was last printed of it
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for began := false; ; began = true {
		if !began && first != "" {
			filters["limit"] = first
		} else {
			filters["limit"] = followPage
		}
		rows, err := c.newest(ctx, server, filters, seen, began)
		if ctx.Err() != nil {
			return nil // interrupted, which is how it ends
		}
		if err != nil {
			return err
		}
		for _, d := range slices.Backward(rows) { // the newest last
			line := strings.Join(columns(&d), "  ")
			if seen[d.ID] == line {
				continue
			}
			seen[d.ID] = line
			if err := c.printFollowed(&d, line); err != nil {
				return err
			}
		}
		forget(seen)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// newest asks for one page, or for as many as hold rows that are not known yet.
func (c *cli) newest(ctx context.Context, server *client, filters map[string]string, seen map[string]string, all bool) ([]relay.Delivery, error) {
	var rows []relay.Delivery
	delete(filters, "cursor")
	defer delete(filters, "cursor")
	for {
		var page deliveryPage
		if err := server.do(ctx, "GET", query("/v1/deliveries", filters), nil, &page); err != nil {
			return nil, err
		}
		rows = append(rows, page.Deliveries...)
		known := slices.ContainsFunc(page.Deliveries, func(d relay.Delivery) bool { return seen[d.ID] != "" })
		if !all || known || len(seen) == 0 || page.NextCursor == "" || len(rows) >= followRows {
			return rows, nil
		}
		filters["cursor"] = page.NextCursor
	}
}

func (c *cli) printFollowed(d *relay.Delivery, line string) error {
	if !c.json {
		_, err := fmt.Fprintln(c.stdout, line)
		return err
	}
	raw, err := json.Marshal(d)
	if err == nil {
		_, err = fmt.Fprintf(c.stdout, "%s\n", raw)
	}
	return err
}

// forget bounds what is remembered; ids sort by time.
func forget(seen map[string]string) {
	if len(seen) <= 2*followRows {
		return
	}
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids[:len(ids)-followRows] {
		delete(seen, id)
	}
}

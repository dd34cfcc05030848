//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
)

func (c *cli) deliveriesReplay() *cobra.Command {
	dry := false
	cmd := &cobra.Command{
		Use:   "replay [ID…]",
		Short: "Sends finished deliveries once more, with today's settings and template: by id, or all that filters select",
		Example: `  relay deliveries replay 01a1fe4b-6017-7100-9998-2d4e6f2689e8
  relay deliveries replay --destination dba-team --state dead --since 1d --dry-run`,
	}
	set := filters(cmd, deliveryFilters...)
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		chosen, err := set()
		switch {
		case err != nil:
			return err
		case len(ids) == 0 && len(chosen) == 0:
			return &usageError{errors.New("name deliveries by their ids, or by filters such as --destination and --state")}
		case len(ids) > 0 && len(chosen) > 0:
			return &usageError{errors.New("ids and filters do not go together")}
		}
		server, err := c.client()
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			return c.replayIDs(cmd.Context(), server, ids, dry)
		}
		return c.replayFiltered(cmd.Context(), server, chosen, dry)
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what would be sent again")
	return c.table(cmd)
}

// replayIDs replays one after the other, and goes on where one cannot be.
func (c *cli) replayIDs(ctx context.Context, server *client, ids []string, dry bool) error {
	var failed []error
	for _, id := range ids {
		method, path := "POST", "/v1/deliveries/"+url.PathEscape(id)+"/replay"
		if dry {
			method, path = "GET", "/v1/deliveries/"+url.PathEscape(id)
		}
		var answer json.RawMessage
		if err := server.do(ctx, method, path, nil, &answer); err != nil {
			if errors.As(err, new(*unreachable)) {
				return err
			}
			failed = append(failed, err)
			continue
		}
		var d relay.Delivery
		if err := json.Unmarshal(answer, &d); err != nil {
			return fmt.Errorf("read relay's answer: %w", err)
		}
		switch {
		case dry && !d.State.Final():
			failed = append(failed, fmt.Errorf("delivery %s is not over yet; only what is over can be replayed", id))
		case c.json:
			fmt.Fprintf(c.stdout, "%s\n", answer)
		case dry:
			fmt.Fprintf(c.stdout, "delivery %s would be repeated: %s to %s, %s\n", id, d.EventType, d.Destination, d.State)
		default:
			fmt.Fprintf(c.stdout, "delivery %s repeats %s; see: relay deliveries show %s\n", d.ID, id, d.ID)
		}
	}
	return errors.Join(failed...)
}

// replayed is an answer of POST /v1/replay, and a line of its progress.
type replayed struct {
	Matched, Replayed, Unfinished int
	Stopped                       string
}

func (c *cli) replayFiltered(ctx context.Context, server *client, filters map[string]string, dry bool) error {
	request := map[string]any{"dry_run": dry, "progress": true}
	for name, value := range filters {
		request[name] = value
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	server.http.Timeout = 0 // as long as it takes; interrupting ends it
	resp, err := server.open(ctx, "POST", "/v1/replay", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var last json.RawMessage
	var done replayed
	line := c.progress()
	lines := json.NewDecoder(resp.Body)
	for {
		err := lines.Decode(&last)
		if errors.Is(err, io.EOF) {
			break
		}
		done = replayed{}
		if err == nil {
			err = json.Unmarshal(last, &done)
		}
		if err != nil {
			line.end()
			return hint(fmt.Errorf("the replay was cut short: %w", err), "what was replayed by then stays; see: relay deliveries list")
		}
		line.say("replayed %d of %d", done.Replayed, done.Matched)
	}
	line.end()
	if name := filters["destination"]; done.Matched+done.Unfinished == 0 && name != "" {
		c.hintDestination(ctx, server, name)
	}
	if c.json {
		fmt.Fprintf(c.stdout, "%s\n", last)
	} else {
		c.printReplayed(done, filters, dry)
	}
	if done.Stopped != "" {
		return hint(fmt.Errorf("not all were replayed: %s", done.Stopped), "replay the rest when there is room, with --until or --since for what is left")
	}
	return nil
}

func (c *cli) printReplayed(done replayed, filters map[string]string, dry bool) {
	left := ""
	if done.Unfinished > 0 {
		left = fmt.Sprintf("; %d more are not over and left alone", done.Unfinished)
	}
	if !dry {
		fmt.Fprintf(c.stdout, "matched: %d, replayed: %d%s\n", done.Matched, done.Replayed, left)
		return
	}
	fmt.Fprintf(c.stdout, "matched: %d%s; nothing was sent\n", done.Matched, left)
	if done.Matched > 0 {
		words := []string{"relay deliveries replay"}
		for _, name := range slices.Sorted(maps.Keys(filters)) {
			words = append(words, "--"+name+" "+shellWord(filters[name]))
		}
		fmt.Fprintf(c.stdout, "to send them again: %s\n", strings.Join(words, " "))
	}
}

// shellWord is a word as a shell takes it.
func shellWord(s string) string {
	if strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_", r)
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

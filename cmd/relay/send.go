//go:build !windows

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) sendCommand() *cobra.Command {
	var f struct {
		eventType, title, level, description, link, source, id string
		data                                                   []string
	}
	cmd := &cobra.Command{
		Use:   "send [FILE|-]",
		Short: "Posts an event: from a file, from standard input, or from flags",
		Example: `  relay send event.json
  relay send --type issue.created --title "add index" --level warn --data table=users`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			event := map[string]any{}
			if len(args) == 1 {
				raw, err := c.input(args[0])
				if err != nil {
					return err
				}
				if !cmd.Flags().HasFlags() || !anyChanged(cmd, "type", "title", "level", "description", "link", "source", "id", "data") {
					return c.send(cmd.Context(), raw) // as it is; relay judges it
				}
				if json.Unmarshal(raw, &event) != nil || event == nil {
					return fmt.Errorf("%s is not one JSON object, so flags cannot be added to it", inputName(args[0]))
				}
			} else if f.eventType == "" || f.title == "" {
				return &usageError{errors.New("name a file, - for standard input, or --type and --title")}
			}
			for key, value := range map[string]string{"type": f.eventType, "title": f.title, "level": f.level,
				"description": f.description, "link": f.link, "source": f.source, "id": f.id} {
				if value != "" {
					event[key] = value
				}
			}
			for _, pair := range f.data {
				key, value, ok := strings.Cut(pair, "=")
				if !ok || key == "" {
					return &usageError{fmt.Errorf("--data %q is not KEY=VALUE", pair)}
				}
				data, _ := event["data"].(map[string]any)
				if data == nil {
					data = map[string]any{}
				}
				data[key] = value
				event["data"] = data
			}
			raw, err := json.Marshal(event)
			if err != nil {
				return err
			}
			return c.send(cmd.Context(), raw)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.eventType, "type", "", "the event's type, such as issue.created")
	flags.StringVar(&f.title, "title", "", "its title")
	flags.StringVar(&f.level, "level", "", "info, success, warn or error")
	flags.StringVar(&f.description, "description", "", "Markdown")
	flags.StringVar(&f.link, "link", "", "an http or https URL")
	flags.StringVar(&f.source, "source", "", "where it comes from")
	flags.StringVar(&f.id, "id", "", "your own id: the same one again is accepted once")
	flags.StringArrayVar(&f.data, "data", nil, "KEY=VALUE for templates; may be repeated")
	return c.remote(c.table(cmd))
}

func anyChanged(cmd *cobra.Command, names ...string) bool {
	for _, name := range names {
		if cmd.Flags().Changed(name) {
			return true
		}
	}
	return false
}

// input reads a file, or standard input for "-".
func (c *cli) input(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(c.stdin)
	}
	return os.ReadFile(name)
}

func inputName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}

// send posts one event or an array and prints what relay answered.
func (c *cli) send(ctx context.Context, body []byte) error {
	relay, err := c.client()
	if err != nil {
		return err
	}
	var answer json.RawMessage
	if err := relay.do(ctx, "POST", "/v1/events", body, &answer); err != nil {
		return err
	}
	if c.json {
		_, err := fmt.Fprintf(c.stdout, "%s\n", answer)
		return err
	}
	type accepted struct {
		ID         string
		Deliveries int
		Duplicate  bool
	}
	var all []accepted
	if json.Unmarshal(answer, &all) != nil {
		var one accepted
		if err := json.Unmarshal(answer, &one); err != nil {
			return fmt.Errorf("read relay's answer: %w", err)
		}
		all = []accepted{one}
	}
	for _, a := range all {
		note := ""
		switch {
		case a.Duplicate:
			note = " (accepted before)"
		case a.Deliveries == 0:
			note = " (no destination wants it)"
		}
		fmt.Fprintf(c.stdout, "accepted %s, deliveries: %d%s\n", a.ID, a.Deliveries, note)
	}
	return nil
}

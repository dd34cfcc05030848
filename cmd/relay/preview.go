//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/api"
	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/problem"
)

func (c *cli) previewCommand() *cobra.Command {
	var p preview
	watching := false
	cmd := &cobra.Command{
		Use:   "preview --destination D",
		Short: "Shows what a destination would get, in words and as it would be sent; sends nothing",
		Long: `Renders an event, or the sample of a type, on the very path of a delivery, and
shows what would be sent. The relay that runs with this configuration is asked;
where there is none, what it takes is started here, so that none need run.`,
		Example: `  relay preview --destination dba-team --type issue.approval_requested
  relay preview --destination dba-team --event event.json --watch
  relay preview --destination dba-team --recipient ann@example.com`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case p.event != "" && p.in.Type != "":
				return &usageError{errors.New("give --event or --type, not both: an event has a type of its own")}
			case p.event == "-" && watching:
				return &usageError{errors.New("standard input cannot be watched; name a file with --event")}
			}
			p.cli = c
			defer p.close()
			if watching {
				return p.watch(cmd.Context())
			}
			return p.show(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&p.in.Destination, "destination", "", "whose message is shown (default: the only one)")
	flags.StringVar(&p.event, "event", "", "a file with an event, as relay send takes it; - for standard input (default: a sample)")
	flags.StringVar(&p.in.Type, "type", "", "the event type whose sample is shown (default issue.created)")
	flags.StringVar(&p.in.Recipient, "recipient", "", "show the direct message to this person: an email, a phone (+8613800000000) or the provider's id")
	flags.BoolVar(&watching, "watch", false, "show it again whenever a template, the event or the configuration changes; end it with ^C")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of words")
	return c.remote(cmd)
}

// preview is one run of the command.
type preview struct {
	*cli
	in     api.Preview
	event  string // a file
	server *client
	bench  *app.Bench

	templates string // the directory that is watched
}

func (p *preview) close() {
	if p.bench != nil {
		p.bench.Close() // what it could not remove is in the temporary directory
	}
}

// show renders once.
func (p *preview) show(ctx context.Context) error {
	if err := p.choose(ctx); err != nil {
		return err
	}
	if p.event != "" {
		raw, err := p.input(p.event)
		if err != nil {
			return err
		}
		p.in.Event = raw
		if !json.Valid(raw) { // it goes into a body that has to be JSON
			return fmt.Errorf("%s is no JSON: %w", inputName(p.event), json.Unmarshal(raw, new(any)))
		}
	}
	out, err := p.render(ctx)
	if err != nil {
		return err
	}
	if p.json {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(out)
	} else {
		p.print(out)
	}
	if err != nil {
		return err
	}
	return verdictOf(out)
}

// choose finds who renders: the relay that was named, the one that runs with
// this very configuration, or this process.
func (p *preview) choose(ctx context.Context) error {
	if p.server != nil || p.bench != nil {
		return nil
	}
	if p.cli.server != "" || os.Getenv("RELAY_SERVER") != "" {
		server, err := p.client()
		p.server = server
		return err
	}
	if server := p.running(ctx); server != nil {
		p.server = server
		return nil
	}
	o, err := p.options(p.config)
	if err != nil {
		return err
	}
	p.bench, err = app.NewBench(o)
	return err
}

// lookTimeout bounds the question whether a relay runs here.
const lookTimeout = 2 * time.Second

// running is the relay that runs with this configuration file as it is now, or
// nil. Another one may well use the same address.
func (p *preview) running(ctx context.Context) *client {
	cfg, err := p.loadConfig()
	if err != nil {
		return nil // why, is said when it is loaded to be used
	}
	file, err := filepath.Abs(p.config)
	if err != nil {
		return nil
	}
	server, err := p.client()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var status struct {
		Config struct{ File, Revision string }
	}
	if server.do(ctx, "GET", "/v1/status", nil, &status) != nil || status.Config.File != file || status.Config.Revision != cfg.Revision {
		return nil
	}
	return server
}

func (p *preview) render(ctx context.Context) (out api.Previewed, err error) {
	if p.server != nil {
		body, err := json.Marshal(p.in)
		if err != nil {
			return out, err
		}
		return out, p.explain(p.server.do(ctx, "POST", "/v1/preview", body, &out))
	}
	out, err = p.bench.Preview(ctx, p.in)
	var faults *problem.Problem
	var no *api.Refusal
	switch {
	case errors.As(err, &no):
		err = problemWords(no.Problem())
	case errors.As(err, &faults):
		err = problemWords(faults)
	case err != nil:
		return out, p.explainConfig(err)
	}
	return out, p.explain(err)
}

// explain words paths of the request as those of the file that was given.
func (p *preview) explain(err error) error {
	if err == nil || p.event == "" || !strings.Contains(err.Error(), "$.event") {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), "$.event", inputName(p.event)+": $"))
}

// print shows a preview to a person.
func (p *preview) print(out api.Previewed) {
	where := "this command, from " + p.config
	if p.server != nil {
		where = "the relay at " + p.server.name
	}
	var e relay.Event
	_ = json.Unmarshal(out.Event, &e) // relay's own JSON
	fmt.Fprintf(p.stdout, "event        %s %q\n", e.Type, shorten(e.Title, 80))
	fmt.Fprintf(p.stdout, "destination  %s (%s)\n", out.Destination, out.Provider)
	if len(out.Recipient) > 0 && string(out.Recipient) != "null" {
		user := "user " + out.User
		if out.User == "" {
			user = "looked up when it is sent"
		}
		fmt.Fprintf(p.stdout, "to           %s (%s)\n", personWords(out.Recipient, out.User), user)
	}
	if out.Template != "" {
		fmt.Fprintf(p.stdout, "template     %s (revision %s)\n", out.Template, out.TemplateRevision)
	}
	if out.Request != nil {
		fmt.Fprintf(p.stdout, "size         %s\n", sizeOf(out))
	}
	fmt.Fprintf(p.stdout, "rendered by  %s\n", where)
	if out.Verdict == relay.Skipped {
		fmt.Fprintf(p.stdout, "\nskipped: the template returned null, so nothing is sent\n")
	}
	if out.Text != "" {
		fmt.Fprintf(p.stdout, "\n%s\n", indent(out.Text))
	}
	if q := out.Request; q != nil {
		fmt.Fprintf(p.stdout, "\n%s %s\n", q.Method, q.URL)
		for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
			fmt.Fprintf(p.stdout, "%s: %s\n", name, q.Headers[name])
		}
		fmt.Fprintf(p.stdout, "\n%s\n", pretty(q.Body))
	}
}

// sizeOf is how near a message is to the vendor's limit.
func sizeOf(out api.Previewed) string {
	if out.Limit == nil {
		return fmt.Sprintf("%d %s; no limit is known", out.Size, out.Unit)
	}
	return fmt.Sprintf("%d of %d %s (%d %%)", out.Size, *out.Limit, out.Unit, out.Size*100 / *out.Limit)
}

// indent sets a text apart from what stands around it.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("  ")
		}
		b.WriteString(line)
	}
	return strings.TrimRight(b.String(), "\n")
}

// pretty is JSON with a line for each value, and anything else as it is.
func pretty(body string) string {
	var b bytes.Buffer
	if json.Indent(&b, []byte(body), "", "  ") != nil {
		return body
	}
	return b.String()
}

// verdictOf is an error where what was shown is not what the template's author
// wants: a template failed, or the message could not be sent.
func verdictOf(out api.Previewed) error {
	faults := config.Problems(slices.Clone(out.Problems))
	if e := out.TemplateError; e != nil && !slices.ContainsFunc(faults, func(p relay.Problem) bool { return sameFault(p, e, out.Destination) }) {
		faults = append(faults, relay.Problem{File: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Frame: e.Frame, Hint: e.Hint})
	}
	if out.Error != "" && (out.TemplateError == nil || out.Error != out.TemplateError.Error()) {
		faults = append(faults, relay.Problem{Message: out.Error})
	}
	if len(faults) == 0 {
		return nil
	}
	if out.TemplateError != nil && out.Request != nil {
		return hint(faults, "the built-in %s is shown, which is what would be sent instead", out.Template)
	}
	return faults
}

// sameFault reports whether a problem of files is what a destination's template
// is not run for: that it cannot be compiled, or that there is none.
func sameFault(p relay.Problem, e *relay.TemplateError, destination string) bool {
	return p.Path == "destinations."+destination+".template" ||
		p.Line == e.Line && p.Column == e.Column && strings.HasPrefix(p.Message, e.Message) && strings.HasSuffix(filepath.ToSlash(p.File), e.File)
}

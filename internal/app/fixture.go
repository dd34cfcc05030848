package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/config"
	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/internal/scripts"
	"github.com/relay-sidecar/relay/plugin/markup"
	"github.com/relay-sidecar/relay/plugin/render"
)

// Fixture is a file of testdata below a templates directory: an event, or this.
type Fixture struct {
	Event       json.RawMessage `json:"event"`       // as for POST /v1/events
	Sample      string          `json:"sample"`      // or the type whose sample it is
	Destination string          `json:"destination"` // of the configuration: its provider, template, language and time zone
	Provider    string          `json:"provider"`    // or the provider
	Template    string          `json:"template"`    // default: found by name
	Language    string          `json:"language"`    // default: en
	TimeZone    string          `json:"time_zone"`   // default: UTC
	Recipient   json.RawMessage `json:"recipient"`   // a person, or an email, phone or id: it is a direct message
}

// Rendering is what one template makes of a fixture. Text is deterministic.
type Rendering struct {
	Template string
	Golden   string // the file that Text is compared with
	Text     []byte
	Err      error // a *relay.TemplateError: the template failed
}

// fixtureTime is when every event of a fixture arrives.
var fixtureTime = time.Date(2026, time.January, 2, 15, 4, 5, 0, time.UTC)

// renderPatience bounds a render: the engine does not hear its own limit
// everywhere, and who tests templates waits for it.
const renderPatience = 10 * time.Second

// Render makes what the templates of a set make of a fixture. Without a
// destination, a provider and a template it is those of the operator's that
// the event can reach. cfg may be nil where a fixture names no destination.
func (b *Bench) Render(ctx context.Context, set *scripts.Set, cfg *config.Config, file string) ([]Rendering, error) {
	f, err := readFixture(file)
	if err != nil {
		return nil, err
	}
	if f.Destination != "" {
		if err := f.destined(cfg); err != nil {
			return nil, err
		}
	}
	recipient, err := f.recipient()
	if err != nil {
		return nil, err
	}
	e, err := f.event(recipient)
	if err != nil {
		return nil, err
	}
	targets, err := f.targets(set, e.Type, b.providers())
	if err != nil {
		return nil, err
	}
	var all []Rendering
	for _, t := range targets {
		in := render.Input{Event: e.Body, Seed: previewDelivery, Context: render.Context{
			Destination: cmp.Or(f.Destination, "test"), Provider: t.provider, Direct: recipient != "", Recipient: json.RawMessage(recipient),
			Language: cmp.Or(f.Language, "en"), TimeZone: cmp.Or(f.TimeZone, "UTC"), Now: fixtureTime,
		}}
		r := Rendering{Template: t.program.Name, Golden: goldenOf(file, t.program.Name)}
		message, err := renderOnce(ctx, t.program, in)
		if r.Err = err; err == nil {
			r.Text = goldenText(t.program.Name, message)
		}
		all = append(all, r)
	}
	return all, nil
}

func (b *Bench) providers() []string {
	var names []string
	for _, p := range b.app.o.Providers {
		names = append(names, p.Describe().Name)
	}
	return names
}

func readFixture(file string) (f Fixture, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return f, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return f, fmt.Errorf("a fixture is an event, or an object that has one: %s", jsonWords(err))
	}
	if keys["event"] == nil && keys["sample"] == nil {
		f.Event = raw // judged by the rules of events
		return f, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("a fixture has event or sample, and destination, provider, template, language, time_zone and recipient: %s", jsonWords(err))
	}
	// A render would take the machine's zone without a word.
	if _, err := time.LoadLocation(f.TimeZone); err != nil || f.TimeZone == "Local" {
		return f, fmt.Errorf("time_zone: %q is not a time zone that is the same everywhere; write an IANA name, such as Asia/Shanghai or UTC", f.TimeZone)
	}
	switch {
	case f.Event != nil && f.Sample != "":
		return f, errors.New("give event or sample, not both")
	case f.Destination != "" && f.Provider+f.Template != "":
		return f, errors.New("a destination has its own provider and template; give it alone, or these")
	}
	return f, nil
}

// jsonWords says what is wrong with JSON in the words of who wrote it.
func jsonWords(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		if kind.Field == "" {
			return "it is a JSON " + kind.Value
		}
		want := "an object"
		if kind.Type.Kind() == reflect.String {
			want = "a text"
		}
		return fmt.Sprintf("%s is a JSON %s, and %s is wanted", kind.Field, kind.Value, want)
	}
	if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "there is no key " + key
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// destined takes what the configuration says of the fixture's destination.
func (f *Fixture) destined(cfg *config.Config) error {
	if cfg == nil {
		return fmt.Errorf("the destination %q stands in a configuration, and there is no good one", f.Destination)
	}
	d, err := (&snapshot{cfg: loaded{Config: cfg}}).previewed(f.Destination)
	if err != nil {
		return err
	}
	f.Provider, f.Template = d.Use, d.Template
	f.Language, f.TimeZone = cmp.Or(f.Language, d.Language), cmp.Or(f.TimeZone, d.TimeZone)
	return nil
}

func (f *Fixture) recipient() (string, error) {
	if len(f.Recipient) == 0 || string(f.Recipient) == "null" {
		return "", nil
	}
	var p relay.Person
	if f.Recipient[0] == '"' {
		var to string
		_ = json.Unmarshal(f.Recipient, &to) // it was decoded before
		p = personBy(to, f.Provider)
	} else if err := json.Unmarshal(f.Recipient, &p); err != nil {
		return "", fmt.Errorf("recipient is neither a person nor an email, a phone or an id: %s", jsonWords(err))
	}
	raw, err := json.Marshal(p)
	return string(raw), err
}

func (f *Fixture) event(recipient string) (relay.Accepted, error) {
	if f.Sample != "" {
		return sampleEvent(f.Sample, recipient, previewEvent, fixtureTime)
	}
	e, err := intake.Decode(f.Event, "", previewEvent, fixtureTime)
	var p *problem.Problem
	if errors.As(err, &p) && len(p.Errors) > 0 {
		var faults []error
		for _, fault := range p.Errors {
			faults = append(faults, fmt.Errorf("%s %s", fault.Path, fault.Message))
		}
		err = errors.Join(faults...)
	}
	return e, err
}

// target is a template with a provider that it renders for.
type target struct {
	program  *relay.Program
	provider string
}

func (f *Fixture) targets(set *scripts.Set, eventType string, providers []string) ([]target, error) {
	if f.Provider != "" && !slices.Contains(providers, f.Provider) {
		return nil, fmt.Errorf("there is no provider %q%s", f.Provider, config.Suggest(f.Provider, providers))
	}
	switch {
	case f.Template != "":
		program := set.Named(f.Template)
		if program == nil {
			return nil, fmt.Errorf("there is no usable template %q", f.Template)
		}
		provider := cmp.Or(f.Provider, providers[0])
		if directory := path.Dir(program.Name); f.Provider == "" && slices.Contains(providers, directory) {
			provider = directory
		}
		return []target{{program, provider}}, nil
	case f.Provider != "":
		return []target{{set.Find(f.Provider, eventType), f.Provider}}, nil
	}
	var all []target
	for _, provider := range providers {
		program := set.Find(provider, eventType)
		known := slices.ContainsFunc(all, func(t target) bool { return t.program == program })
		if set.Own(program) && !known {
			all = append(all, target{program, provider})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no template in the directory is found for %s; name a provider to test a built-in one", eventType)
	}
	return all, nil
}

// renderOnce runs a template here: what it makes is shown to who wrote it.
func renderOnce(ctx context.Context, p *relay.Program, in render.Input) (json.RawMessage, error) {
	type result struct {
		message json.RawMessage
		err     error
	}
	done := make(chan result, 1)
	go func() {
		t, err := render.New(*p)
		if err != nil {
			done <- result{err: err}
			return
		}
		out, failed := t.Render(ctx, in)
		if failed != nil {
			done <- result{err: failed}
			return
		}
		done <- result{message: out.JSON}
	}()
	select {
	case r := <-done:
		return r.message, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(renderPatience): // the process ends soon, and the render with it
		return nil, &relay.TemplateError{File: p.Name, Message: fmt.Sprintf("it did not end within %s", renderPatience)}
	}
}

// goldenOf names the golden file of a fixture and a template.
func goldenOf(fixture, template string) string {
	template = strings.TrimSuffix(template, path.Ext(template))
	return GoldenPrefix(fixture) + strings.ReplaceAll(template, "/", "-") + ".golden"
}

// GoldenPrefix is how the golden files of a fixture begin.
func GoldenPrefix(fixture string) string {
	return strings.TrimSuffix(fixture, filepath.Ext(fixture)) + "--"
}

// goldenText is written to be read as a diff.
func goldenText(template string, message json.RawMessage) []byte {
	var b bytes.Buffer
	words := cmp.Or(markup.Readable(message), "(skipped)")
	if string(message) != "null" && words == "(skipped)" {
		words = "(no words)"
	}
	fmt.Fprintf(&b, "=== template\n%s\n=== text\n%s\n=== message\n", template, words)
	_ = json.Indent(&b, message, "", "  ") // it is JSON
	b.WriteByte('\n')
	tokens := strings.NewReplacer(string(relay.MentionOpen), `\ue000`, string(relay.MentionClose), `\ue001`)
	return []byte(tokens.Replace(b.String()))
}

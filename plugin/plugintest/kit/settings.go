package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

// Keys that relay has in an entry of `providers` and in a destination: a
// provider's schema may not have them.
var (
	ReservedEntry  = []string{"use", "command", "sha256", "memory", "automtls", "env"}
	ReservedTarget = []string{"provider", "events", "match", "direct_messages", "template", "language", "time_zone", "rate", "timeout",
		"retry", "template_errors", "concurrency", "disabled", "recipients"}
)

var (
	providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	// secretName is a key whose value can hardly be anything but a secret.
	secretName = regexp.MustCompile(`(?i)(token|secret|password|passwd|api_?key|private_?key)$`)
)

func (t *trial) handshake(context.Context) (string, error) {
	began := time.Now()
	if err := t.start(); err != nil {
		return "", err
	}
	return fmt.Sprintf("in %s", time.Since(began).Round(time.Millisecond)), nil
}

func (t *trial) describe(ctx context.Context) (string, error) {
	const limit = time.Second
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	who, err := t.client.Describe(ctx, &pluginpb.DescribeRequest{})
	if err != nil {
		return "", fmt.Errorf("the call Describe is not answered: %w", err)
	}
	if took := time.Since(began); took > limit {
		return "", fmt.Errorf("the call Describe took %s; it is pure, and answered within %s", took.Round(time.Millisecond), limit)
	}
	t.who = who
	switch {
	case !providerName.MatchString(who.Name):
		return "", fmt.Errorf("the name is %q; it is made of lower case letters, digits and -", who.Name)
	case who.Version == "":
		return "", errors.New("there is no version; operators want to know what runs")
	}
	if _, err := relay.ParseRate(who.Limits.GetRate()); err != nil {
		return "", fmt.Errorf("limits.rate: %w", err)
	}
	for _, by := range who.Direct.GetMatchBy() {
		if by != "email" && by != "phone" {
			return "", fmt.Errorf("direct.match_by has %q; there are email and phone", by)
		}
	}
	again, err := t.client.Describe(ctx, &pluginpb.DescribeRequest{})
	if err != nil || again.String() != who.String() {
		return "", fmt.Errorf("the call Describe answers otherwise the second time (%v); it is pure", err)
	}
	words := fmt.Sprintf("%s %s", who.Name, who.Version)
	if t.renders() {
		words += ", renders templates itself"
	} else {
		words += ", gets rendered messages"
	}
	if rate := who.Limits.GetRate(); rate != "" {
		words += ", at most " + rate
	} else {
		words += ", no limit declared"
	}
	return words, nil
}

// filePrefix is what the names of executables begin with in relay's plugins directory.
const filePrefix = "relay-plugin-"

// reservedName is relay's own: the child that runs scripts.
const reservedName = "script"

// name looks for what keeps relay from using a file under its name.
func (t *trial) name(context.Context) (string, error) {
	file := filepath.Base(t.p.Command[0])
	wanted, found := strings.CutPrefix(file, filePrefix)
	switch {
	case !found:
		return skip("relay finds only files named %s<provider> by themselves; this one is started by providers.%s.command", filePrefix, t.who.Name)
	case !providerName.MatchString(wanted):
		return "", fmt.Errorf("%s is not used: a provider's name is made of lower case letters, digits and -; rename the file", file)
	case t.who.Name != wanted:
		return "", fmt.Errorf("%s calls itself %q, and provider %s was expected; name the file %s%[2]s, or the plugin %[3]s", file, t.who.Name, wanted, filePrefix)
	case wanted == reservedName:
		return "", fmt.Errorf("%q cannot be the name of a provider: it is relay's own; choose another", wanted)
	case slices.Contains(t.p.BuiltIn, wanted):
		return "", fmt.Errorf("%s is not used: %s is a built-in provider; choose another name, or to replace it, set providers.%[2]s.command to a file that is not named %s…", file, wanted, filePrefix)
	}
	return file, nil
}

// part is a schema with what it is about.
type part struct {
	name     string
	schema   json.RawMessage
	reserved []string
	provider bool
}

func (t *trial) parts() []part {
	return []part{
		{"the provider's schema", t.who.ProviderSchema, ReservedEntry, true},
		{"the destination's schema", t.who.DestinationSchema, ReservedTarget, false},
	}
}

func (t *trial) schemas(context.Context) (string, error) {
	var faults []error
	keys := 0
	for _, p := range t.parts() {
		if len(p.schema) == 0 {
			continue
		}
		if _, err := compile(p.schema); err != nil {
			faults = append(faults, fmt.Errorf("%s is no JSON Schema: %w", p.name, err))
			continue
		}
		var s objectSchema
		if err := json.Unmarshal(p.schema, &s); err != nil || s.Type != "object" {
			faults = append(faults, fmt.Errorf("%s has not \"type\": \"object\"", p.name))
			continue
		}
		if string(s.AdditionalProperties) != "false" {
			faults = append(faults, fmt.Errorf("%s has not \"additionalProperties\": false, so that relay cannot find a misspelt key", p.name))
		}
		for key, property := range s.Properties {
			keys++
			if slices.Contains(p.reserved, key) {
				faults = append(faults, fmt.Errorf("%s has the key %s, which is relay's own; choose another name", p.name, key))
			}
			if secretName.MatchString(key) && !property.WriteOnly {
				faults = append(faults, fmt.Errorf("%s: %s looks like a secret; mark it with \"writeOnly\": true, so that it is masked", p.name, key))
			}
		}
	}
	return fmt.Sprintf("%d keys", keys), errors.Join(faults...)
}

// objectSchema is what the kit reads of a schema.
type objectSchema struct {
	Type                 string
	Properties           map[string]property
	AdditionalProperties json.RawMessage
	Required             []string
}

type property struct {
	Type      any
	Format    string
	Pattern   string
	Enum      []any
	Default   any
	Minimum   *float64
	WriteOnly bool
}

func compile(data json.RawMessage) (*jsonschema.Schema, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("kit:///schema", value); err != nil {
		return nil, err
	}
	return c.Compile("kit:///schema")
}

// fits reports whether a schema takes settings, and where it does not.
func fits(schema, settings json.RawMessage) (bool, string) {
	if len(schema) == 0 {
		schema = json.RawMessage(`{"type":"object","additionalProperties":false}`)
	}
	compiled, err := compile(schema)
	if err != nil {
		return false, ""
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(settings))
	if err != nil {
		return false, ""
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(compiled.Validate(value), &invalid) {
		return true, ""
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	return false, "/" + strings.Join(invalid.InstanceLocation, "/")
}

// made are settings for a schema, as far as one can guess.
func (t *trial) made(schema json.RawMessage) (json.RawMessage, error) {
	var s objectSchema
	if len(schema) > 0 {
		if err := json.Unmarshal(schema, &s); err != nil {
			return nil, err
		}
	}
	all := map[string]any{}
	for name, p := range s.Properties {
		required := slices.Contains(s.Required, name)
		switch kind, _ := p.Type.(string); {
		case p.Format == "relay-url":
			all[name] = t.vendor.url + "/kit-" + name
		case !required && !p.WriteOnly:
		case p.Default != nil:
			all[name] = p.Default
		case len(p.Enum) > 0:
			all[name] = p.Enum[0]
		case kind == "string" && p.Pattern == "" && p.Format == "":
			all[name] = "kit-value-of-" + name
		case kind == "integer" || kind == "number":
			all[name] = 1
			if p.Minimum != nil {
				all[name] = *p.Minimum
			}
		case kind == "boolean":
			all[name] = true
		case kind == "object" && required:
			all[name] = map[string]any{}
		case kind == "array" && required:
			all[name] = []any{}
		case required:
			return nil, fmt.Errorf("nobody can guess a value of %s; write settings into %s", name, CaseFile)
		}
	}
	return json.Marshal(all)
}

func (t *trial) settings(ctx context.Context) (string, error) {
	words := "of " + CaseFile
	provider, target := t.c.Provider, t.c.Target
	if target == nil {
		words = "made from the schemas"
		var err error
		if target, err = t.made(t.who.DestinationSchema); err != nil {
			return "", err
		}
	}
	if provider == nil {
		var err error
		if provider, err = t.made(t.who.ProviderSchema); err != nil {
			return "", err
		}
	}
	t.good = &pluginpb.Settings{Revision: "kit-good", Destination: "kit", Entry: t.who.Name, Provider: provider, Target: target}
	if ok, at := fits(t.who.ProviderSchema, provider); !ok {
		return "", fmt.Errorf("the provider's schema refuses good settings at %s", at)
	}
	if ok, at := fits(t.who.DestinationSchema, target); !ok {
		return "", fmt.Errorf("the destination's schema refuses good settings at %s", at)
	}
	problems, err := t.ask(ctx, t.good)
	if err != nil {
		return "", err
	}
	for _, p := range problems {
		if !p.Warning && !p.Direct {
			return "", fmt.Errorf("the call Check refuses settings that its schemas take (%s): %s: %s\nif they are not good ones, write good ones into %s", words, p.Pointer, p.Message, CaseFile)
		}
	}
	if len(t.vendor.seen()) > 0 {
		return "", errors.New("the call Check used the network; it may not, because relay asks at every reload")
	}
	return words, nil
}

// ask has the plugin check settings.
func (t *trial) ask(ctx context.Context, s *pluginpb.Settings) ([]*pluginpb.Problem, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := t.client.Check(ctx, &pluginpb.CheckRequest{Settings: []*pluginpb.Settings{s}})
	if err != nil {
		return nil, fmt.Errorf("the call Check is not answered: %w", err)
	}
	for _, p := range resp.Problems {
		t.note(p.Message)
		if p.Message == "" {
			return nil, errors.New("a problem of Check has no message; say what is wrong and the remedy")
		}
		if p.Revision != s.Revision {
			return nil, fmt.Errorf("a problem of Check names the revision %q, and %q was asked about", p.Revision, s.Revision)
		}
		if p.Pointer != "" && !strings.HasPrefix(p.Pointer, "/") {
			return nil, fmt.Errorf("a problem of Check has the pointer %q; a JSON pointer begins with /", p.Pointer)
		}
	}
	return resp.Problems, nil
}

func (t *trial) settingsRefused(ctx context.Context) (string, error) {
	var faults []error
	// Whatever comes, it is answered: relay asks with what people write.
	for _, odd := range []string{`{}`, `{"kit_unknown_key":1}`} {
		for _, s := range []*pluginpb.Settings{
			{Revision: "kit-odd", Destination: "kit", Entry: t.who.Name, Provider: t.good.Provider, Target: []byte(odd)},
			{Revision: "kit-odd", Destination: "kit", Entry: t.who.Name, Provider: []byte(odd), Target: t.good.Target},
		} {
			if _, err := t.ask(ctx, s); err != nil {
				faults = append(faults, fmt.Errorf("with the settings %s %s: %w", s.Provider, s.Target, err))
			}
		}
	}
	refused := 0
	for _, p := range t.parts() {
		var s objectSchema
		if len(p.schema) == 0 || json.Unmarshal(p.schema, &s) != nil {
			continue
		}
		settings := t.good.Target
		if p.provider {
			settings = t.good.Provider
		}
		for _, key := range s.Required {
			var object map[string]any
			if json.Unmarshal(settings, &object) != nil {
				continue
			}
			delete(object, key)
			less, _ := json.Marshal(object)
			if ok, _ := fits(p.schema, less); ok {
				faults = append(faults, fmt.Errorf("%s takes settings without %s, which it requires", p.name, key))
			}
			refused++
		}
	}
	for i, r := range t.c.Refused {
		s := &pluginpb.Settings{Revision: "kit-refused", Destination: "kit", Entry: t.who.Name, Provider: t.good.Provider, Target: t.good.Target}
		if r.Provider != nil {
			s.Provider = r.Provider
		}
		if r.Target != nil {
			s.Target = r.Target
		}
		okProvider, atProvider := fits(t.who.ProviderSchema, s.Provider)
		okTarget, atTarget := fits(t.who.DestinationSchema, s.Target)
		where := ""
		switch {
		case !okProvider:
			where = atProvider
		case !okTarget:
			where = atTarget
		default:
			problems, err := t.ask(ctx, s)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			found := false
			for _, p := range problems {
				if !p.Warning {
					found, where = true, p.Pointer
					if where == r.Pointer {
						break
					}
				}
			}
			if !found {
				faults = append(faults, fmt.Errorf("refused[%d] is taken by the schemas and by Check: %s %s", i, s.Provider, s.Target))
				continue
			}
		}
		// A schema that misses a key points to the object around it.
		if where != r.Pointer && !strings.HasPrefix(r.Pointer, strings.TrimSuffix(where, "/")+"/") {
			faults = append(faults, fmt.Errorf("refused[%d] is refused at %q, and the fault is at %q", i, where, r.Pointer))
		}
		refused++
	}
	return fmt.Sprintf("%d kinds", refused), errors.Join(faults...)
}

func (t *trial) configure(ctx context.Context) (string, error) {
	resp, err := t.put(ctx, t.good)
	if err != nil {
		return "", err
	}
	for _, p := range resp.Problems {
		if !p.Warning && !p.Direct && !p.NoChannel {
			return "", fmt.Errorf("the call Configure refuses what Check takes: %s: %s", p.Pointer, p.Message)
		}
	}
	return "", nil
}

package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/invopop/jsonschema"
)

// SchemaOf is the JSON Schema of a struct of settings, for a [Description]. The
// struct is one that encoding/json decodes; what its fields mean stands in their
// tags, as package github.com/invopop/jsonschema reads them:
//
//	type target struct {
//		URL   string `json:"url"   jsonschema:"format=relay-url,writeOnly=true,description=The topic's URL."`
//		Level int    `json:"level,omitempty" jsonschema:"minimum=1,maximum=5,default=3"`
//	}
//
// A field without omitempty is required, and no other key is allowed.
// writeOnly=true marks a secret. Beside JSON Schema's own formats there are
// relay-url (https, or http to a loopback address), relay-duration (30s, 24h),
// relay-size (1MiB) and relay-rate (20/m). Anything else that a schema can say,
// it says in [Description] written by hand.
func SchemaOf(settings any) json.RawMessage {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true}
	data, err := json.Marshal(r.Reflect(settings))
	if err != nil {
		panic("plugin: the settings have no schema: " + err.Error()) // the program itself is wrong
	}
	return data
}

// Decode reads the entry's settings and the destination's own keys into two
// structs, either of which may be nil. Settings that passed the schema of
// [SchemaOf] decode; what does not is a Problem, with its place.
func (s Settings) Decode(provider, target any) []Problem {
	var problems []Problem
	for _, part := range []struct {
		into any
		data json.RawMessage
	}{{provider, s.Provider}, {target, s.Target}} {
		if part.into == nil || len(bytes.TrimSpace(part.data)) == 0 {
			continue
		}
		err := json.Unmarshal(part.data, part.into)
		if err == nil {
			continue
		}
		p := Problem{Provider: part.into == provider, Message: "the settings are no JSON object"}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			// Its own words repeat the value, which may be a secret.
			p.Pointer, p.Message = "/"+strings.ReplaceAll(wrong.Field, ".", "/"), fmt.Sprintf("this is to be a %s", wrong.Type)
		}
		problems = append(problems, p)
	}
	return problems
}

package plugin_test

import (
	"encoding/json"
	"fmt"

	"github.com/relay-sidecar/relay/plugin"
)

// The tags of a struct say what its settings are; what passed them decodes.
func ExampleSchemaOf() {
	type target struct {
		URL   string `json:"url" jsonschema:"format=relay-url,writeOnly=true,description=The topic's URL."`
		Level int    `json:"level,omitempty" jsonschema:"minimum=1,maximum=5"`
	}
	fmt.Println(string(plugin.SchemaOf(target{})))

	var t target
	fmt.Println(plugin.Settings{Target: json.RawMessage(`{"url": "https://ntfy.sh/ops", "level": 4}`)}.Decode(nil, &t), t.Level)
	for _, p := range (plugin.Settings{Target: json.RawMessage(`{"url": 7}`)}).Decode(nil, &t) {
		fmt.Println(p.Pointer, p.Message)
	}
	// Output:
	// {"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"url":{"type":"string","format":"relay-url","description":"The topic's URL.","writeOnly":true},"level":{"type":"integer","maximum":5,"minimum":1}},"additionalProperties":false,"type":"object","required":["url"]}
	// [] 4
	// /url this is to be a string
}

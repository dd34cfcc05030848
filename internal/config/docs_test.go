package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestDocsNameEveryKey holds docs/config.md against the schema, which is what
// the code goes by: every key with its type, its default, and whether a change
// of it takes a restart. -update writes the table anew.
func TestDocsNameEveryKey(t *testing.T) {
	core, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(core, &root); err != nil {
		t.Fatal(err)
	}
	table := "| key | type | default | a change | |\n|---|---|---|---|---|\n" + strings.Join(keyRows(root, root, "", false), "")

	const path, begin, end = "../../docs/config.md", "<!-- keys -->\n", "<!-- end of keys -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), begin)
	got, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no %s", path, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != table {
		t.Errorf("%s does not say what the code does; refresh it with -update. It says\n%s\nand should say\n%s", path, got, table)
	}
}

// keyRows are the lines of all keys below a schema, in order.
func keyRows(root, s map[string]any, path string, restart bool) []string {
	var rows []string
	properties, _ := s["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		p := resolved(root, properties[key].(map[string]any))
		at := strings.TrimPrefix(path+"."+key, ".")
		takes := restart || p["x-relay-restart"] == true
		change := "live"
		if takes {
			change = "restart"
		}
		if _, section := p["properties"]; takes && section {
			change = "restart, to have it or not" // its content is live
			takes = false
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", at, typeOf(p), defaultOf(p), change, strings.ReplaceAll(fmt.Sprint(p["description"]), "|", `\|`)))
		rows = append(rows, keyRows(root, p, at, takes)...)
		for _, below := range []struct{ keyword, suffix string }{{"additionalProperties", ".*"}, {"items", "[]"}} {
			inner, _ := p[below.keyword].(map[string]any)
			rows = append(rows, keyRows(root, resolved(root, inner), at+below.suffix, takes)...)
		}
	}
	return rows
}

// resolved is a schema, or what it refers to.
func resolved(root, s map[string]any) map[string]any {
	if pointer, ok := s["$ref"].(string); ok {
		return root["$defs"].(map[string]any)[strings.TrimPrefix(pointer, "#/$defs/")].(map[string]any)
	}
	return s
}

func typeOf(p map[string]any) string {
	format, _ := p["format"].(string)
	words := map[string]string{
		"relay-duration": "duration", "relay-timeout": "duration", "relay-size": "size", "relay-rate": "rate", "relay-listen": "address",
		"relay-mode": "octal mode", "relay-zone": "time zone", "relay-template": "file",
	}
	names := map[string]string{"string": "text", "array": "list", "object": "mapping", "boolean": "true or false", "integer": "number"}
	if values, ok := p["enum"].([]any); ok {
		var all []string
		for _, v := range values {
			all = append(all, fmt.Sprint(v))
		}
		return strings.Join(all, ", ")
	}
	types, list := p["type"].([]any)
	if !list {
		types = []any{p["type"]}
	}
	var all []string
	for _, name := range types {
		word := names[fmt.Sprint(name)]
		if name == "string" && words[format] != "" {
			word = words[format]
		}
		all = append(all, word)
	}
	return strings.Join(all, " or ")
}

func defaultOf(p map[string]any) string {
	value, ok := p["default"]
	text, err := json.Marshal(value)
	switch {
	case !ok || err != nil || string(text) == "{}" || string(text) == "[]":
		return ""
	case strings.HasPrefix(string(text), `"`):
		return fmt.Sprintf("`%s`", value)
	}
	return "`" + string(text) + "`"
}

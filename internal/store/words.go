package store

import (
	"database/sql/driver"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/relay-sidecar/relay"
	sqlite "modernc.org/sqlite"
)

// gap stands after every text of the index, so that its last characters begin
// three in a row, too.
const gap = "\n\n"

// fold makes texts that differ in letter case only equal, the same for what is
// searched and for what is looked for. A NUL would end a text in SQLite.
func fold(s string) string {
	return strings.ToLower(strings.ReplaceAll(s, "\x00", "\uFFFD"))
}

// personTexts are the values in a recipient's JSON: name, email, phone, ids.
func personTexts(recipient string) []string {
	if recipient == "" {
		return nil
	}
	var out []string
	d := json.NewDecoder(strings.NewReader(recipient))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case string:
			out = append(out, v)
		case json.Number:
			out = append(out, v.String())
		}
	}
	walk(v)
	return out
}

// registerFunctions teaches SQLite to compare as the index does:
//
//	has(text, folded)          whether a text holds another
//	person_has(json, folded)   whether one of a recipient's values does
//	mentioned(json, folded)    whether a text holds it, perhaps in the escapes of JSON
//	redacted(text, name)       a text without a person's email, phone or id
//
//	slim(detail)               what is kept of an attempt between the first and the last
//
// Connections know what was registered before they were opened.
var registerFunctions = sync.OnceValue(func() error {
	for name, f := range map[string]func(text, name string) any{
		"has": func(text, folded string) any { return strings.Contains(fold(text), folded) },
		"person_has": func(recipient, folded string) any {
			return slices.ContainsFunc(personTexts(recipient), func(s string) bool { return strings.Contains(fold(s), folded) })
		},
		"mentioned": func(text, folded string) any {
			return strings.Contains(fold(text), folded) || strings.Contains(text, `\u`)
		},
		"redacted": func(text, name string) any { return newPerson(name).redact(text) },
	} {
		err := sqlite.RegisterDeterministicScalarFunction(name, 2, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			given := text(args[0])
			if raw, ok := args[0].([]byte); ok {
				given = string(raw)
			}
			return f(given, text(args[1])), nil
		})
		if err != nil {
			return err
		}
	}
	return sqlite.RegisterDeterministicScalarFunction("slim", 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		kept, ok := args[0].(string)
		if !ok {
			return args[0], nil
		}
		return slim(kept)
	})
})

// slim is an attempt's detail without bodies, those of its steps included.
func slim(kept string) (string, error) {
	var d detail
	if err := json.Unmarshal([]byte(kept), &d); err != nil {
		return "", err
	}
	d.Message, d.Resend = nil, nil
	empty := func(q *relay.Request, r *relay.Response) {
		if q != nil {
			q.Body = ""
		}
		if r != nil {
			r.Body = ""
		}
	}
	empty(d.Request, d.Response)
	for _, s := range d.Steps {
		empty(s.Request, s.Response)
	}
	out, err := json.Marshal(d)
	return string(out), err
}

// triples are the runs of three characters in a folded text.
func triples(folded string) []string {
	r := []rune(folded)
	var out []string
	for i := 0; i+3 <= len(r); i++ {
		out = append(out, string(r[i:i+3]))
	}
	return out
}

// quoted is a term as FTS5 takes it.
func quoted(term string) string { return `"` + strings.ReplaceAll(term, `"`, `""`) + `"` }

package scripts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
)

// translations are one directory's locales, each file with its last good state.
type translations struct {
	good map[string]map[string]string // language → key → text
}

// update reads the files of translations among files and answers their
// problems. A file that cannot be read leaves the language as it was.
func (t *translations) update(files map[string][]byte) []relay.Problem {
	good := make(map[string]map[string]string)
	var problems []relay.Problem
	for _, name := range slices.Sorted(maps.Keys(files)) {
		language, ok := locale(name)
		if !ok {
			continue
		}
		texts, err := readLocale(name, files[name])
		if err != nil {
			problems = append(problems, *err)
			if texts, ok = t.good[language]; !ok {
				continue
			}
		}
		good[language] = texts
	}
	t.good = good
	return problems
}

func readLocale(name string, raw []byte) (map[string]string, *relay.Problem) {
	var texts map[string]string
	err := json.Unmarshal(raw, &texts)
	if err == nil && texts == nil {
		err = errors.New("it is null")
	}
	if err == nil {
		return texts, nil
	}
	p := &relay.Problem{File: name, Message: fmt.Sprintf("translations are one JSON object of texts: %v", err)}
	offset := int64(-1)
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = max(syntax.Offset-1, 0) // it counts the byte at fault
	case errors.As(err, &wrong):
		offset = wrong.Offset
		p.Path = wrong.Field
		p.Message = fmt.Sprintf("translations are one JSON object of texts; this is %s", article(wrong.Value))
	}
	if offset >= 0 {
		before := raw[:min(int(offset), len(raw))]
		p.Line = bytes.Count(before, []byte("\n")) + 1
		p.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	}
	return nil, p
}

func article(kind string) string {
	if kind == "object" || kind == "array" {
		return "an " + kind
	}
	return "a " + kind
}

// mergeLocales is the built-in translations with the operator's over them.
func mergeLocales(builtIn, own map[string]map[string]string) *relay.Locales {
	all := make(map[string]map[string]string)
	for _, layer := range []map[string]map[string]string{builtIn, own} {
		for language, texts := range layer {
			if all[language] == nil {
				all[language] = make(map[string]string, len(texts))
			}
			maps.Copy(all[language], texts)
		}
	}
	canonical, _ := json.Marshal(all) // sorted by key; texts always encode
	return &relay.Locales{Revision: digest(canonical), Strings: all}
}

package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Parts is what a configuration is set to, defaults included: part → key →
// value. The parts are "destinations/NAME", "providers/NAME" and
// "sources/NAME", and every other section by its own name.
type Parts map[string]map[string]string

// Digests are the parts with a keyed hash in place of every value: two
// configurations can be compared by them without being shown.
func (c *Config) Digests(salt []byte) Parts {
	all := Parts{}
	for part, values := range c.values {
		all[part] = map[string]string{}
		for key, value := range values {
			h := hmac.New(sha256.New, salt)
			h.Write([]byte(part + "\x00" + key + "\x00" + value))
			all[part][key] = hex.EncodeToString(h.Sum(nil)[:16])
		}
	}
	return all
}

// What a Change does to a part.
const (
	ActionAdd    = "add"
	ActionDrop   = "drop"
	ActionChange = "change"
)

// Change is how one part differs between two configurations.
type Change struct {
	Action string   `json:"action"`
	Part   string   `json:"part"` // such as destinations.dba-team or server
	Keys   []string `json:"keys"` // that differ, of a part that changes and has keys
}

// Compare says what differs, by part.
func Compare(running, next Parts) []Change {
	all := []Change{}
	for _, part := range slices.Sorted(maps.Keys(union(running, next))) {
		before, was := running[part]
		after, is := next[part]
		c := Change{Action: ActionChange, Part: strings.Replace(part, "/", ".", 1), Keys: []string{}}
		switch {
		case !was:
			c.Action = ActionAdd
		case !is:
			c.Action = ActionDrop
		default:
			if maps.Equal(before, after) {
				continue
			}
			c.Keys = differing(before, after)
		}
		all = append(all, c)
	}
	return all
}

// differing are the keys whose values differ. A key stands for all below it,
// and a part that has no keys for itself.
func differing(before, after map[string]string) []string {
	keys := []string{}
	for _, key := range slices.Sorted(maps.Keys(union(before, after))) {
		a, hadIt := before[key]
		b, hasIt := after[key]
		within := slices.ContainsFunc(keys, func(above string) bool { return strings.HasPrefix(key, above+".") })
		if key != "" && !within && (a != b || hadIt != hasIt) {
			keys = append(keys, key)
		}
	}
	return keys
}

func union[V any](a, b map[string]V) map[string]bool {
	all := map[string]bool{}
	for key := range a {
		all[key] = true
	}
	for key := range b {
		all[key] = true
	}
	return all
}

// NeedsRestart names what of the next configuration cannot be taken up while
// this one runs. schema.json says which keys those are ("x-relay-restart"); of a
// section it is whether there is one.
func (c *Config) NeedsRestart(next *Config) Problems {
	return next.RestartProblems(Restart(c.values, next.values))
}

// RestartProblems words the refusal of keys, each with its place. What a refused
// file does not say, or says wrong, is not known to change.
func (c *Config) RestartProblems(keys []string) Problems {
	var faults Problems
	for _, key := range keys {
		if c.judged != nil && !c.judged[key] {
			continue
		}
		p := c.Place(strings.Split(key, ".")...)
		p.Message = "a change of it needs a restart; nothing of the file was taken"
		faults = append(faults, p)
	}
	return faults
}

// Restart are the keys whose change takes a restart, by configurations or by
// their digests.
func Restart(running, next Parts) []string {
	keys := []string{}
	for _, path := range slices.Sorted(maps.Keys(restartKeys(core(), ""))) {
		part, key, _ := strings.Cut(path, ".")
		before, after := running[part], next[part]
		differs := before[key] != after[key]
		for name := range union(before, after) {
			if strings.HasPrefix(name, key+".") && (before[name] == "") != (after[name] == "") {
				differs = true
			}
		}
		if differs {
			keys = append(keys, path)
		}
	}
	return keys
}

// restartKeys are the paths of the keys that a schema marks.
func restartKeys(s schema, path string) map[string]bool {
	all := map[string]bool{}
	for key, value := range below(s, "properties") {
		p, _ := value.(schema)
		at := strings.TrimPrefix(path+"."+key, ".")
		if p["x-relay-restart"] == true {
			all[at] = true
		}
		maps.Copy(all, restartKeys(p, at))
	}
	return all
}

// valuesOf makes parts of a finished instance. What a file holds that is named
// by its path is part of the value; a directory is compared as it is written,
// since the file may be looked at where it does not run.
func (l *loader) valuesOf(full map[string]any) Parts {
	all := Parts{}
	for section, value := range full {
		object, _ := value.(map[string]any)
		switch section {
		case "destinations", "providers", "sources":
			for name, one := range object {
				all[section+"/"+name] = flat(one)
			}
		default:
			all[section] = flat(value)
		}
	}
	for _, directory := range []struct{ part, key string }{{"store", "path"}, {"templates", ""}} {
		var path string
		if json.Unmarshal([]byte(all[directory.part][directory.key]), &path) == nil {
			all[directory.part][directory.key] = filepath.Clean(path)
		}
	}
	for _, file := range []struct{ part, key string }{{"server", "tls.cert"}, {"server", "tls.key"}, {"egress", "ca_file"}} {
		var path string
		if json.Unmarshal([]byte(all[file.part][file.key]), &path) == nil && path != "" {
			data, _ := l.file(l.absolute(path)) // it was read before
			all[file.part][file.key] += " " + string(data)
		}
	}
	return all
}

// flat is a value by the keys in it: those of mappings within mappings with a .
// between. A value that is no mapping has the empty key.
func flat(value any) map[string]string {
	all := map[string]string{}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		object, ok := value.(map[string]any)
		if !ok {
			data, _ := json.Marshal(value) // it came from JSON
			all[path] = string(data)
		}
		for key, inner := range object {
			walk(strings.TrimPrefix(path+"."+key, "."), inner)
		}
	}
	walk("", value)
	return all
}

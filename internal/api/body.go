package api

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/problem"
)

// maxBody bounds the bodies of the operators' requests.
const maxBody = 64 << 10

// fields are the keys that an object may have, and what takes their values.
type fields map[string]field

// field takes a value, which is not null, and says what is wrong with it. path
// is where it stands.
type field func(value json.RawMessage, path string) []problem.Fault

// refuse is the answer to faults; nil where there are none.
func refuse(faults []problem.Fault) *problem.Problem {
	return problem.Refuse("nothing was done", faults)
}

// readBody reads a request's object, and answers where it has faults. No body at
// all is an empty object.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, known fields) bool {
	faults, p := readFields(w, r, limit, known)
	if p == nil {
		p = refuse(faults)
	}
	if p != nil {
		p.Write(w)
	}
	return p == nil
}

// readFields is readBody for those who look for more faults than the object's.
// The problem is that there is no object to look at.
func readFields(w http.ResponseWriter, r *http.Request, limit int64, known fields) ([]problem.Fault, *problem.Problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, problem.New(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", limit))
	case err != nil:
		return nil, problem.New(http.StatusBadRequest, "the body could not be read to its end")
	}
	if body = bytes.TrimSpace(body); len(body) == 0 {
		return nil, nil
	}
	if err := problem.CheckJSON(body); err != nil {
		return nil, problem.New(http.StatusBadRequest, err.Error())
	}
	return known.take(body, "$"), nil
}

// take takes an object apart. A key that nobody knows is a slip, and one that
// stands twice says two things.
func (f fields) take(value json.RawMessage, path string) []problem.Fault {
	taken := cmp.Or(strings.Join(slices.Sorted(maps.Keys(f)), ", "), "none")
	return each(value, path, func(key string, value json.RawMessage, path string) []problem.Fault {
		switch take, ok := f[key]; {
		case !ok:
			return fault(path, "is no key of this request; it takes %s", taken)
		case string(value) == "null":
			return nil
		default:
			return take(value, path)
		}
	})
}

// each calls take for every member of a well-formed object, in order.
func each(object json.RawMessage, path string, take func(key string, value json.RawMessage, path string) []problem.Fault) (faults []problem.Fault) {
	if object[0] != '{' {
		return fault(path, "is not an object")
	}
	d := json.NewDecoder(bytes.NewReader(object))
	_, _ = d.Token() // the brace
	seen := map[string]bool{}
	for d.More() {
		token, _ := d.Token()
		key, _ := token.(string)
		var value json.RawMessage
		_ = d.Decode(&value)
		at := path + problem.Child(key)
		if seen[key] {
			faults = append(faults, fault(at, "stands twice")...)
			continue
		}
		seen[key] = true
		faults = append(faults, take(key, value, at)...)
	}
	return faults
}

func fault(path, format string, args ...any) []problem.Fault {
	return []problem.Fault{{Path: path, Message: fmt.Sprintf(format, args...)}}
}

// unless adds what is wrong with a value, unless it is good or something is
// said of it already.
func unless(good bool, faults []problem.Fault, path, words string) []problem.Fault {
	if good || slices.ContainsFunc(faults, func(f problem.Fault) bool { return f.Path == path }) {
		return faults
	}
	return append(faults, problem.Fault{Path: path, Message: words})
}

// text takes a string.
func text(to *string) field {
	return func(value json.RawMessage, path string) []problem.Fault {
		if json.Unmarshal(value, to) != nil {
			return fault(path, "is not a string")
		}
		return nil
	}
}

// flag takes true or false.
func flag(to *bool) field {
	return func(value json.RawMessage, path string) []problem.Fault {
		if json.Unmarshal(value, to) != nil {
			return fault(path, "is not true or false")
		}
		return nil
	}
}

// raw takes any value as it is.
func raw(to *json.RawMessage) field {
	return func(value json.RawMessage, _ string) []problem.Fault {
		*to = value
		return nil
	}
}

// octets takes base64.
func octets(to *[]byte) field {
	return func(value json.RawMessage, path string) []problem.Fault {
		var s string
		if faults := text(&s)(value, path); faults != nil {
			return faults
		}
		var err error
		if *to, err = base64.StdEncoding.DecodeString(s); err != nil {
			return fault(path, "is not base64")
		}
		return nil
	}
}

// part takes a part of a destination.
func part(to *relay.Part) field {
	return func(value json.RawMessage, path string) []problem.Fault {
		var s string
		if faults := text(&s)(value, path); faults != nil {
			return faults
		}
		var err error
		if *to, err = ParsePart(s); err != nil {
			return fault(path, "%v", err)
		}
		return nil
	}
}

// ParsePart reads a part of a destination; empty: none is named.
func ParsePart(s string) (relay.Part, error) {
	switch p := relay.Part(s); p {
	case "", relay.PartChannel, relay.PartDirect:
		return p, nil
	}
	return "", fmt.Errorf("%q is no part of a destination; write channel or direct", problem.Cut(s))
}

// digests takes the digests of a configuration: part → key → digest.
func digests(to *map[string]map[string]string) field {
	return func(value json.RawMessage, path string) []problem.Fault {
		*to = map[string]map[string]string{}
		return each(value, path, func(part string, value json.RawMessage, path string) []problem.Fault {
			(*to)[part] = map[string]string{}
			return each(value, path, func(key string, value json.RawMessage, path string) []problem.Fault {
				var digest string
				faults := text(&digest)(value, path)
				(*to)[part][key] = digest
				return faults
			})
		})
	}
}

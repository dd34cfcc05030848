package relay

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// SecretText stands wherever a secret was.
const SecretText = "<secret>"

// Secret is a string that prints as <secret>. Reveal is the only way to its value.
type Secret string

// Reveal is the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string { return SecretText }

// GoString hides the value from %#v.
func (s Secret) GoString() string { return SecretText }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(SecretText), nil }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(SecretText) }

// minSecret is the shortest value that is masked: shorter ones would mask
// ordinary words.
const minSecret = 8

// Masker takes known secrets out of text. It is safe for concurrent use, also
// while secrets are added.
type Masker struct {
	needles atomic.Pointer[[]string] // longest first, so that a whole goes before its part
}

// Add makes the masker know more secrets, in the forms in which they turn up:
// plain, JSON, URL path, URL query and base64. Values under 8 bytes are left out.
func (m *Masker) Add(secrets ...string) {
	for {
		old := m.needles.Load()
		var all []string
		if old != nil {
			all = slices.Clone(*old)
		}
		for _, s := range secrets {
			if len(s) < minSecret {
				continue
			}
			quoted, _ := json.Marshal(s) // a string always encodes
			all = append(all, s, string(quoted[1:len(quoted)-1]), url.PathEscape(s), url.QueryEscape(s),
				base64.RawStdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s))) // padded ones begin with them
		}
		slices.SortFunc(all, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
		all = slices.Compact(all)
		if m.needles.CompareAndSwap(old, &all) {
			return
		}
	}
}

// With is a masker that knows what m knows now, and more: what is secret for
// one attempt only, such as its signature. m does not learn it.
func (m *Masker) With(secrets ...string) *Masker {
	more := &Masker{}
	more.needles.Store(m.needles.Load()) // a list is never changed
	more.Add(secrets...)
	return more
}

// Mask is text with every known secret replaced by <secret>.
func (m *Masker) Mask(text string) string {
	needles := m.needles.Load()
	if needles == nil {
		return text
	}
	for _, n := range *needles {
		if strings.Contains(text, n) {
			text = strings.ReplaceAll(text, n, SecretText)
		}
	}
	return text
}

// SecretsIn lists the strings of a JSON value that its JSON Schema marks as
// secret with "writeOnly": true, wherever they stand below properties,
// additionalProperties and items. A schema or value that is no JSON has none.
func SecretsIn(schema, value json.RawMessage) []string {
	var s secretSchema
	var v any
	if json.Unmarshal(schema, &s) != nil || json.Unmarshal(value, &v) != nil {
		return nil
	}
	return s.secrets(v, false, nil)
}

// secretSchema is the part of JSON Schema that tells where secrets are.
type secretSchema struct {
	WriteOnly            bool                    `json:"writeOnly"`
	Properties           map[string]secretSchema `json:"properties"`
	AdditionalProperties *secretSchema           `json:"additionalProperties"`
	Items                *secretSchema           `json:"items"`
	AnyOf                []secretSchema          `json:"anyOf"`
	OneOf                []secretSchema          `json:"oneOf"`
}

// UnmarshalJSON takes a schema that is `true` or `false` as one without secrets.
func (s *secretSchema) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	type plain secretSchema
	return json.Unmarshal(b, (*plain)(s))
}

func (s *secretSchema) secrets(v any, hidden bool, found []string) []string {
	hidden = hidden || s.WriteOnly
	for _, choice := range slices.Concat(s.AnyOf, s.OneOf) {
		found = choice.secrets(v, hidden, found)
	}
	switch v := v.(type) {
	case string:
		if hidden {
			found = append(found, v)
		}
	case []any:
		items := s.Items
		if items == nil {
			items = &secretSchema{}
		}
		for _, item := range v {
			found = items.secrets(item, hidden, found)
		}
	case map[string]any:
		for key, item := range v {
			sub, ok := s.Properties[key]
			if !ok && s.AdditionalProperties != nil {
				sub = *s.AdditionalProperties
			}
			found = sub.secrets(item, hidden, found)
		}
	}
	return found
}

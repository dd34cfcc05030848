// Package config turns relay.yaml into a checked Config.
//
// It promises: a file is taken whole or refused whole, and a refusal names
// every fault at once, each with its line, column and key, and words that say
// the remedy. Nothing of a secret stands in those words. Values from outside
// (${NAME}, ${file:…}) go into scalar values after parsing, so they can never
// change the structure of the file.
//
// One JSON Schema is the truth about keys, types and defaults: schema.json,
// merged with the schemas that the providers publish for the keys that they
// own. A few rules that a schema cannot say stand in rules.go.
//
// It leaves to others: noticing changes (internal/watch), what only a provider
// can judge about its settings (its plugin; see Config.Problem), and whether
// templates exist and compile (internal/scripts).
package config

import (
	"crypto/tls"
	"encoding/json"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// Options is what Load needs from its surroundings.
type Options struct {
	// Env looks up an environment variable. nil: os.LookupEnv.
	Env func(name string) (string, bool)
	// ReadFile reads relay.yaml and the files that it names. nil: the disk.
	ReadFile func(path string) ([]byte, error)
	// Provider gives the schemas of a provider; false: there is none of that name.
	Provider func(name string) (Schemas, bool)
	// Providers names every provider that Provider knows.
	Providers []string
	// Plugins is asked once about the plugins of third parties that the file
	// names, before anything is judged. nil: there are none.
	Plugins func(Plugins) Found
	// Sources names the doors that need no entry under sources.
	Sources []string
	// Judge is what only a destination's provider can say about settings that
	// fit the schemas. It is asked about every destination that has no fault so
	// far, whatever is wrong elsewhere in the file. nil: nobody is asked.
	Judge func(d Destination, e Entry) []Judgement
}

// Judgement is a provider's word about a destination's settings.
type Judgement struct {
	Entry   bool   // it is about the entry's settings, not the destination's
	Pointer string // JSON pointer to the value
	Message string // what is wrong and the remedy, without secrets
	Warning bool   // the settings are usable all the same
	// NoChannel: the settings name no channel, which is a fault unless nothing
	// can ever go there.
	NoChannel bool
	// Direct: it is about direct messages, and of interest only where the
	// destination wants them.
	Direct bool
}

// Schemas is what a provider says about its settings.
type Schemas struct {
	// JSON Schemas (draft 2020-12) of an entry's settings and of the destination
	// keys that the provider owns; nil allows no key. "writeOnly": true marks a
	// secret. "format": "relay-url" is a URL that takes https everywhere and http
	// to a loopback address, and with "x-relay-http": "anywhere" http everywhere,
	// with a warning. "x-relay-hint" adds the remedy to a fault's words.
	Provider, Destination json.RawMessage
	// Unknown: nobody can say now what the schemas are. Everything passes, and
	// everything counts as secret.
	Unknown     bool
	Rate        relay.Rate // of a destination that sets none
	Concurrency int        // of a destination that sets none; 0: 1
	// The same for direct messages; 0: 8, and the destination's default.
	DirectConcurrency int
	DirectTimeout     time.Duration
}

// Config is a relay.yaml that passed every check. It is read only.
type Config struct {
	File     string   // as it was named to Load
	Revision string   // a hash of the file and of all that it takes from outside
	Files    []string // absolute paths of the file and of all that it names, for a watcher
	Secrets  []string // every secret value in it, for masking

	Server       Server
	Store        Store
	Templates    string           // absolute path of the directory
	Plugins      string           // absolute path of the directory; empty: there is none
	Entries      map[string]Entry // by name; built-in providers that a destination names are among them
	Destinations []Destination    // sorted by name
	People       []Person
	Sources      map[string]Source
	Alerts       Alerts
	Egress       Egress
	Watch        Watch
	Log          Log

	Scripts []Script // every script that the file asks for

	index  map[string]indexed
	values Parts
	// judged are the keys whose change takes a restart and that a refused file
	// has without a fault; nil: the file was taken.
	judged map[string]bool
}

// String is the revision: the rest holds secrets.
func (c *Config) String() string { return "config " + c.Revision }

// Server says where relay listens, and who may talk to it.
type Server struct {
	Listen  []Listen
	Tokens  []Token
	Hosts   []string
	MaxBody int64 `json:"max_body"` // bytes
	// MaxConnections is of one listen address.
	MaxConnections int `json:"max_connections"`
	Shutdown       time.Duration
	SocketMode     fs.FileMode `json:"socket_mode"`
	TLS            *TLS        // nil: plain HTTP
}

// TLS is the certificate that relay's listeners show.
type TLS struct {
	Cert, Key   string          // as they are written
	Certificate tls.Certificate `json:"-"`
}

// Token is a bearer token. Scope is events, read or admin; empty opens everything.
type Token struct {
	Token relay.Secret
	Scope string
}

// UnmarshalJSON takes a lone string as a token of every scope.
func (t *Token) UnmarshalJSON(b []byte) error {
	*t = Token{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &t.Token)
	}
	type object Token
	return json.Unmarshal(b, (*object)(t))
}

// Store configures the durable store.
type Store struct {
	Path                     string // absolute
	Retain                   time.Duration
	MaxPending               int           `json:"max_pending"`
	MaxPendingPerDestination int           `json:"max_pending_per_destination"`
	MaxSize                  int64         `json:"max_size"` // bytes
	Reserve                  int64         // bytes
	HoldFor                  time.Duration `json:"hold_for"`
	// RemovedGrace is how long what waits for a removed destination is held.
	RemovedGrace time.Duration `json:"removed_grace"`
}

// Egress says where providers may connect to, and whom they trust there.
type Egress struct {
	CAFile string `json:"ca_file"` // as it is written
	CA     []byte `json:"-"`       // its content; nil: the system's authorities alone
	Allow  []netip.Prefix
}

// Entry is an entry of `providers`.
type Entry struct {
	Name     string
	Use      string          // the provider that it is
	Settings json.RawMessage // a JSON object of the keys that the provider owns; holds secrets
}

const (
	// DefaultMemory is what the process of a provider may use, in bytes.
	DefaultMemory = 256 << 20
	// leastMemory is what a plugin needs with some room.
	leastMemory = 64 << 20
)

// Destination is a place that wants events.
type Destination struct {
	Name           string              `json:"-"`
	Entry          string              `json:"-"` // the name of the entry that serves it
	Use            string              `json:"-"` // the provider of that entry
	Events         []string            // globs; nil: all but relay.*
	Match          map[string][]string // path into the event → any of these values
	Direct         *DirectMessages     `json:"direct_messages"` // nil: none
	Recipients     []Person            `json:"-"`               // added to those of every event
	Template       string              // below the templates directory; empty: found by name
	Language       string
	TimeZone       string     `json:"time_zone"` // an IANA name; empty: relay's own
	Rate           relay.Rate // zero: no limit
	Timeout        time.Duration
	Retry          Retry
	TemplateErrors relay.TemplateErrors `json:"template_errors"`
	Concurrency    int                  // at least 1
	Disabled       bool
	Settings       json.RawMessage `json:"-"` // a JSON object of the keys that the provider owns; holds secrets
	// Revision names the content of Settings and of the entry's settings.
	Revision string `json:"-"`
}

// Retry says how long to try. For 0 is one attempt.
type Retry struct {
	For       time.Duration
	Ambiguous int // attempts with an unknown outcome before giving up
}

// UnmarshalJSON takes 0 for one attempt, of which the outcome does not matter.
func (r *Retry) UnmarshalJSON(b []byte) error {
	*r = Retry{}
	if string(b) == "0" {
		return nil
	}
	type object Retry
	return json.Unmarshal(b, (*object)(r))
}

// DirectMessages says which events go to people, and what follows where nobody
// is reached.
type DirectMessages struct {
	Events   []string // globs
	Fallback relay.Fallback

	// The destination's own where the file sets them, else the provider's.
	Timeout     time.Duration `json:"-"`
	Concurrency int           `json:"-"`
}

// defaultDirectConcurrency is how many direct messages of a destination are on
// their way at a time.
const defaultDirectConcurrency = 8

// directByDefault are the events that ask somebody for something, or answer
// who asked.
func directByDefault() []string {
	return []string{"issue.approval_requested", "issue.approved", "issue.sent_back", "issue.rollout_requested"}
}

// UnmarshalJSON takes true, a list of globs, or the long form.
func (d *DirectMessages) UnmarshalJSON(b []byte) error {
	*d = DirectMessages{Fallback: relay.FallbackNoneMatched}
	switch {
	case string(b) == "true":
	case string(b) == "false":
		return nil
	case len(b) > 0 && b[0] == '[':
		return json.Unmarshal(b, &d.Events)
	default:
		type object DirectMessages
		if err := json.Unmarshal(b, (*object)(d)); err != nil {
			return err
		}
	}
	if d.Events == nil {
		d.Events = directByDefault()
	}
	return nil
}

// Person is what relay.yaml knows of somebody. IDs are by the name of a
// provider, of an entry or of a source.
type Person struct {
	Email, Phone, Name string
	Language, TimeZone string
	IDs                map[string]string
}

// UnmarshalJSON takes every key that is not one of ours as an id.
func (p *Person) UnmarshalJSON(b []byte) error {
	var all map[string]string
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	*p = Person{}
	for key, to := range map[string]*string{
		"email": &p.Email, "phone": &p.Phone, "name": &p.Name, "language": &p.Language, "time_zone": &p.TimeZone,
	} {
		*to = all[key]
		delete(all, key)
	}
	if len(all) > 0 {
		p.IDs = all
	}
	return nil
}

// Alerts says how long something may be held before it counts, and which
// destination is told then; empty: none.
type Alerts struct {
	After       time.Duration
	Destination string
}

// Source refines a door for an app that speaks webhooks.
type Source struct {
	Token            relay.Secret     // empty: the server's tokens open it
	Script           string           // below the templates directory; empty: the source's own name
	HMAC             HMAC             // zero: the sender does not sign in this way
	StandardWebhooks StandardWebhooks `json:"standard_webhooks"` // the same
	Recipients       []Person         `json:"-"`                 // added to those of every event
	Settings         json.RawMessage  `json:"-"`                 // a JSON object of the keys that are the script's
}

// HMAC is a signature of the body in a header.
type HMAC struct {
	Header, Prefix      string
	Secret              []relay.Secret // any of them; none: there is no signature
	Algorithm, Encoding string
}

// StandardWebhooks is the signature of standardwebhooks.com.
type StandardWebhooks struct {
	Secret []relay.Secret // any of them; none: there is no signature
}

// Watch says how changes are noticed.
type Watch struct{ Poll time.Duration }

// Log configures relay's own log. Format is text or json.
type Log struct{ Level, Format string }

// Load reads and checks the file at path. The warnings are about things that
// work all the same.
//
// The error is a Problems with every fault. The Config that comes with it is
// not nil but holds only File, Files, Revision and Secrets: what a watcher, a
// report of the refusal and a masker need; and, where they have no fault, Templates
// and Scripts, so that what is wrong with those can be said with the rest.
func Load(path string, o Options) (*Config, []relay.Problem, error) {
	l := newLoader(path, o)
	cfg := &Config{File: path}
	if root := l.tree(); root != nil {
		l.plugins(root)
		if l.schema = l.merge(root); l.schema != nil {
			instance := l.instance(root)
			l.check(instance, root)
			l.rules(root)
			l.judge(instance.(map[string]any), root)
			if len(l.problems) == 0 {
				l.decode(cfg, instance.(map[string]any))
			} else {
				cfg.values = l.valuesOf(finish(core(), core(), instance).(map[string]any))
			}
			cfg.index = positions(root)
			cfg.Templates, cfg.Scripts = l.templates(root), l.scripts(root)
		} else {
			l.schema = core()
			l.instance(root) // which keys may be shown is known from then on
		}
	}
	cfg.Files, cfg.Revision, cfg.Secrets = l.files(), l.revision(), l.allSecrets()
	if len(l.problems) > 0 {
		cfg.judged = map[string]bool{}
		for key := range restartKeys(core(), "") {
			_, written := cfg.index["/"+strings.ReplaceAll(key, ".", "/")]
			cfg.judged[key] = written && !l.faulty(key)
		}
	}
	warnings, faults := l.report()
	if len(faults) > 0 {
		return cfg, warnings, faults
	}
	return cfg, warnings, nil
}

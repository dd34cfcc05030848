// Package plugin is what the author of a provider needs: implement [Provider]
// and [Destination], call [Serve] from main, and relay does the rest — it keeps
// events on disk, retries, limits rates, renders templates and logs.
//
//	func main() { plugin.Serve(&provider{client: post.New(post.Options{})}) }
//
// `relay plugin new NAME` writes a project that begins like this, docs/plugins.md
// tells the rest, and examples/plugin-ntfy is a whole one.
//
// # The way of a delivery
//
// A plugin is a process that relay starts when a destination first needs it. For
// each delivery Serve decodes the event, runs the destination's template in a
// fresh JavaScript runtime, and hands what it made to Compose, which turns it into
// the vendor's request and sends nothing. Send then makes the one attempt, and
// says what came of it. Every secret is masked in what leaves the process, and the
// process ends when relay is gone.
//
// # Settings
//
// What an operator writes is judged before it runs: by the JSON Schemas of
// [Description], which [SchemaOf] makes from the tags of a struct, and by Open,
// which reads it with [Settings.Decode] and names what a schema cannot say as a
// [Problem] with its place and its remedy. Open uses no network.
//
// # Composing
//
// A template makes a portable message, the vendor's own JSON, or a text
// ([relay.Rendered]). Package markup turns the CommonMark of a portable message
// into the vendor's markup, prints or mentions people, and cuts by bytes, runes or
// UTF-16 units. A portable message always finds a form; only what a template wrote
// in the vendor's own words can be refused, by an error of Compose.
//
// # Sending
//
// Package post makes requests by the house rules: the attempt's timeout, no
// redirects, no retry of what may have arrived, bounded answers, masking. The
// report's verdict says what the answer means:
//
//   - [relay.Delivered]: the vendor promised that the message is there;
//   - [relay.Temporary]: nothing was shown; RetryAfter is the wait that it asks for;
//   - [relay.Ambiguous]: the message may be visible; DedupFor says for how long the
//     vendor takes the same message again for what it is;
//   - [relay.MessageRefused], [relay.RecipientRefused], [relay.DestinationRefused]:
//     it, the person or the credential will not work.
//
// post.ByStatus says what a status alone means; look at what your vendor promises
// first. The id of a [Delivery] is the same in all attempts: give it to a vendor that
// takes a deduplication key.
//
// # Limits
//
// [Limits] are what the vendor documents; relay keeps them over every window. A
// destination whose limit is shared, because several use one robot or app, says so
// as [Paced].
//
// # People
//
// A [DirectProvider] reaches people directly: it looks them up by email or phone,
// and sends to the vendor's ids. relay remembers the answers.
//
// # Testing
//
// plugintest.Run runs the conformance kit on the built executable, as `relay plugin
// check` does, with a stand-in for the vendor.
package plugin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/relay-sidecar/relay"
)

// Provider speaks one chat system. Its methods may be called concurrently.
type Provider interface {
	// Describe says who this is. It is pure: no network, no state.
	Describe() Description

	// Open makes a destination from settings that passed the schemas, or says
	// every fault in them. It may keep what it is given; it does not use the
	// network. relay opens a destination anew when its settings change. Settings
	// without a channel are a Problem with NoChannel.
	Open(s Settings) (Destination, []Problem)
}

// Destination is one configured place of a provider. Its methods may be called
// concurrently.
type Destination interface {
	// Compose turns what a template made into the request that Send will make,
	// without what is made anew for every attempt (signatures, times). It uses
	// no network: preview calls it too. An error refuses the message for good
	// and names the limit or the fault.
	Compose(d *Delivery, r relay.Rendered) (*Request, error)

	// Send makes the one attempt and says what came of it. ctx ends with the
	// attempt's timeout. Send does not retry what may have reached the vendor.
	// The log parts of the report (Template…, Message) are not Send's to fill.
	Send(ctx context.Context, d *Delivery, r *Request) relay.Report
}

// Paced is a Destination whose vendor documents limits that are more than one
// rate for each destination: several windows, or one that several destinations
// share because they use the same robot, channel or app.
type Paced interface {
	// Windows are the limits that every message to this destination counts
	// against. It is pure.
	Windows() []Window
}

// Window is one documented limit: in every window of Rate.Per at most
// Rate.Count messages start, counted over all destinations with this Key.
type Window struct {
	// Key names what the vendor counts, such as the robot's token. It may hold
	// secrets: it is hashed before it leaves the process.
	Key  string
	Rate relay.Rate
	// PerUser counts the messages to each person apart, where the vendor limits
	// what one person gets. It is for direct messages only.
	PerUser bool
}

// Measured is a Destination whose vendor limits something else than the bytes
// of a request's body, for those who preview what they write.
type Measured interface {
	// Measure says how big a request is that Compose made. It is pure.
	Measure(r *Request) Size
}

// Size is how big a request is, as its vendor counts.
type Size struct {
	Used  int64
	Limit int64  // the most that the vendor takes; 0: none is known
	Unit  string // what is counted; empty: bytes of the body
}

// Description is who a provider is.
type Description struct {
	Name    string // lower case letters, digits and "-"
	Version string
	// JSON Schemas (draft 2020-12) of the provider-level settings and of the
	// destination keys that the provider owns. "writeOnly": true marks a
	// secret: it is masked wherever it turns up. nil allows no key.
	ProviderSchema    json.RawMessage
	DestinationSchema json.RawMessage
	Limits            Limits
	Direct            DirectLimits // of a [DirectProvider]
}

// Limits are the defaults of a provider's destinations.
type Limits struct {
	Rate        relay.Rate // the vendor's documented one
	Concurrency int        // deliveries of one destination at a time; 0 means 1
	Body        int64      // bytes of a request's body that the vendor takes; 0: none is known
}

// Settings are one destination's settings and those of the `providers` entry
// that serves it.
type Settings struct {
	Destination string          // its name in relay.yaml
	Entry       string          // the name of the `providers` entry
	Provider    json.RawMessage // a JSON object
	Target      json.RawMessage // a JSON object: the destination's own keys
	Masker      *relay.Masker   // knows the secrets of the settings; Open adds what else is secret, such as parts of a URL
	Logger      *slog.Logger    // takes out what Masker knows
}

// Problem is a fault in settings.
type Problem struct {
	Provider bool   // the fault is in the entry's settings, not in the destination's
	Pointer  string // JSON pointer to the value, such as "/url"
	Message  string // what is wrong and the remedy; never the value of a secret
	Warning  bool   // the settings are usable all the same
	// NoChannel: the settings name no channel. That is a fault, unless the
	// destination has direct messages that never fall back to a channel.
	NoChannel bool
}

// Delivery is what Compose and Send are about. It is read only.
type Delivery struct {
	ID      string // the same over all attempts: the deduplication key
	Attempt int    // from 1
	EventID string
	Event   json.RawMessage // the canonical JSON of the event; decode it into relay.Event where it is needed
	User    string          // of a direct message: the vendor's id of the recipient
	// TraceParent is the W3C trace context of this attempt, to be passed on to
	// receivers that are the operator's own; empty: the event is not traced.
	TraceParent string
	Context
}

// Context is what templates see as ctx.
type Context struct {
	Destination string
	Provider    string // the name of the `providers` entry
	Direct      bool
	Recipient   *relay.Person // nil for the channel
	Language    string
	TimeZone    string
	Now         time.Time // when the event was accepted
}

// Request is what Compose makes: the body, and where and how it goes.
type Request struct {
	Method string // default POST
	URL    string
	Header http.Header
	Body   []byte
}

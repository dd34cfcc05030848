package plugin

import (
	"context"
	"sync"
	"time"

	"github.com/relay-sidecar/relay"
)

// DirectProvider is a Provider that also reaches people directly.
type DirectProvider interface {
	Provider

	// OpenDirect makes what reaches people for a destination with these
	// settings, or says every fault in them. Where they hold no credentials for
	// direct messages it returns nil and warnings that say what is missing:
	// events then go to the channel. Like Open it uses no network; what several
	// destinations of one account share (tokens, say) the provider keeps in a
	// [Shared].
	OpenDirect(s Settings) (Direct, []Problem)
}

// Direct reaches the people of one account. Its methods may be called
// concurrently.
//
// Compose and Send get deliveries whose Direct is true and whose User is the
// vendor's id of the recipient: one that Resolve found, or one that somebody
// wrote into relay.yaml or the event, which the vendor may not know. Compose
// still uses no network, so that what only calls can tell (the id of a chat)
// is Send's to fill in.
type Direct interface {
	Destination

	// Account names the credentials that are used: what the vendor says about
	// them (refused, too fast) holds for all destinations with the same Account,
	// and so does whom they know. It may hold secrets: it is hashed before it
	// leaves the process. It is pure.
	Account() string

	// Resolve finds the vendor's ids of people by their email or their phone,
	// whichever by says, and answers for each in order. relay asks only by what
	// Description.Direct.MatchBy lists, only for people who have it, and never
	// twice while an answer may be kept. An email or phone that the vendor
	// cannot take is Unmatched. ctx ends with the attempt's timeout.
	Resolve(ctx context.Context, by string, people []relay.Person) []Match
}

// Prober is a Direct that can ask the vendor whether its credentials work.
type Prober interface {
	// Probe uses the network, and says what is wrong with the credentials or
	// missing in their permissions, as far as the vendor tells. It sends nothing
	// to anybody.
	Probe(ctx context.Context) []Problem
}

// What people are looked up by.
const (
	ByEmail = "email"
	ByPhone = "phone"
)

// DirectLimits describe how a provider reaches people.
type DirectLimits struct {
	MatchBy     []string      // what Resolve looks people up by, first to last; empty: explicit ids only
	Concurrency int           // direct messages of one destination at a time; 0 means 8
	Timeout     time.Duration // of an attempt with its look-ups; 0 means relay's default
}

// Match is the answer about one person.
type Match struct {
	User string        // the vendor's id; empty: the report's verdict says why
	Keep time.Duration // how long the answer may be kept; 0: not at all
	// Report is Unmatched, Temporary or DestinationRefused where there is no
	// User. Its request, response and steps go into the log either way.
	relay.Report
}

// Matched is the answer that a person is a user.
func Matched(user string, keep time.Duration) Match { return Match{User: user, Keep: keep} }

// Unmatched is the answer that the vendor knows no such person.
func Unmatched(keep time.Duration, why string) Match {
	return Match{Keep: keep, Report: relay.Report{Verdict: relay.Unmatched, Error: why}}
}

// Shared holds what destinations of one account share, such as its tokens. The
// zero Shared is empty and ready. It is safe for concurrent use.
type Shared[T any] struct {
	mu  sync.Mutex
	all map[string]*T
}

// Get is the value of an account, made where there is none yet. It is never
// forgotten: there are as many as there were different credentials.
func (s *Shared[T]) Get(account string, make func() *T) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[account]
	if v == nil {
		if s.all == nil {
			s.all = map[string]*T{}
		}
		v = make()
		s.all[account] = v
	}
	return v
}

// Memory remembers, for a while, what a vendor answered about something, such
// as the id of a chat. The zero Memory is empty and ready. It is safe for
// concurrent use, and bounded.
type Memory[T any] struct {
	mu  sync.Mutex
	all map[string]remembered[T]
}

type remembered[T any] struct {
	value T
	until time.Time
}

// memorySize bounds a Memory; it is more than the people of a large company.
const memorySize = 100_000

// Get is what is remembered under key.
func (m *Memory[T]) Get(key string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.all[key]
	if !ok || time.Now().After(v.until) {
		delete(m.all, key)
		var none T
		return none, false
	}
	return v.value, true
}

// Put remembers a value for so long.
func (m *Memory[T]) Put(key string, value T, keep time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil || len(m.all) >= memorySize {
		m.all = map[string]remembered[T]{} // asking again costs a call
	}
	m.all[key] = remembered[T]{value, time.Now().Add(keep)}
}

// Drop forgets what the vendor says is wrong.
func (m *Memory[T]) Drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, key)
}

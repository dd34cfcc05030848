package plugintest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/relay-sidecar/relay"
)

// TokenPart is in every token that [Vendor.Token] hands out, and in nothing else.
const TokenPart = "acce55-token-"

// Know implements [DirectVendor]. Whom the look-ups find by what p says is the
// stand-in's to decide, with [Vendor.Find].
func (v *Vendor) Know(id string, p relay.Person) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.people == nil {
		v.people = map[string]relay.Person{}
	}
	v.people[id] = p
}

// Knows reports whether there is a person with the id.
func (v *Vendor) Knows(id string) bool {
	return v.Find(func(known string, _ relay.Person) bool { return known == id }) != ""
}

// Find is the id of somebody whom the vendor knows; empty: it is nobody.
func (v *Vendor) Find(is func(id string, p relay.Person) bool) string {
	v.mu.Lock()
	people := maps.Clone(v.people)
	v.mu.Unlock()
	for id, p := range people {
		if is(id, p) {
			return id
		}
	}
	return ""
}

// Show shows a message to its user, or in the channel. It says how many that
// are by now.
func (v *Vendor) Show(s Sent) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s.User == "" {
		v.channel = append(v.channel, s)
		return len(v.channel)
	}
	v.direct = append(v.direct, s)
	return len(v.direct)
}

// Direct implements [DirectVendor].
func (v *Vendor) Direct() []Sent {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.direct)
}

// Channel implements [DirectVendor].
func (v *Vendor) Channel() []Sent {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.channel)
}

// Token hands out a token: the same one until it expires.
func (v *Vendor) Token() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.token == "" {
		v.tokens++
		v.token = fmt.Sprintf(TokenPart+"%04d", v.tokens)
	}
	return v.token
}

// Takes reports whether a token is the one that works.
func (v *Vendor) Takes(token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return token != "" && token == v.token
}

// Expire implements [DirectVendor] for tokens of [Vendor.Token].
func (v *Vendor) Expire() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.token = ""
}

// Revoke implements [DirectVendor] for stand-ins that ask Revoked when they look
// at credentials.
func (v *Vendor) Revoke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.revoked = true
}

// Revoked reports whether the credentials are not good any more.
func (v *Vendor) Revoked() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.revoked
}

package identity_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/identity"
)

// kept is a store that remembers what it was given.
type kept struct {
	mu  sync.Mutex
	all []relay.Identity
}

func (k *kept) Identify(_ context.Context, all []relay.Identity) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, all...)
	return nil
}

// vendor finds those whom it knows, and notes whom it was asked for.
type vendor struct {
	mu    sync.Mutex
	users map[string]string // "email ann" → U1
	asked []string
	down  bool
	wait  time.Duration
}

func (v *vendor) ask(_ context.Context, by string, people []relay.Person) []identity.Answer {
	time.Sleep(v.wait) // in a bubble
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []identity.Answer
	for _, p := range people {
		k := by + " " + value(by, p)
		v.asked = append(v.asked, k)
		call := relay.Report{Request: &relay.Request{URL: "https://vendor.example/" + by}, Response: &relay.Response{Status: 200}}
		switch user := v.users[k]; {
		case v.down:
			call.Verdict, call.Error = relay.Temporary, "503"
			out = append(out, identity.Answer{Report: call})
		case user != "":
			out = append(out, identity.Answer{User: user, Keep: time.Hour, Report: call})
		default:
			call.Verdict, call.Error = relay.Unmatched, "nobody"
			out = append(out, identity.Answer{Keep: time.Minute, Report: call})
		}
	}
	return out
}

func value(by string, p relay.Person) string {
	if by == "email" {
		return p.Email
	}
	return p.Phone
}

var both = []string{"email", "phone"}

func directory(before []relay.Identity) (*identity.Directory, *kept) {
	k := &kept{}
	return identity.New(before, k, slog.New(slog.DiscardHandler), value), k
}

func TestResolveTriesEachKey(t *testing.T) {
	v := &vendor{users: map[string]string{"email ann": "U1", "phone +2": "U2"}}
	d, _ := directory(nil)
	got := d.Resolve(t.Context(), "s", both, []relay.Person{
		{Email: "ann"}, {Email: "bob", Phone: "+2"}, {Phone: "+3"}, {Email: "dan", Phone: "+4"}, {Name: "Eve"}, {Email: "ann", Phone: "+9"},
	}, v.ask)
	var said []string
	for _, r := range got {
		said = append(said, fmt.Sprintf("%s %s %s steps %d", r.User, r.By, r.Verdict, len(r.Steps)+len(r.Report.Steps)))
	}
	want := []string{"U1 email  steps 1", "U2 phone  steps 2", " phone unmatched steps 0", " phone unmatched steps 1", "  unmatched steps 0", "U1 email  steps 1"}
	if !reflect.DeepEqual(said, want) {
		t.Errorf("got %q, want %q", said, want)
	}
	if got[4].Error != "the recipient has neither email nor phone to be looked up by" || got[3].Request == nil {
		t.Errorf("unmatched: %+v, %+v", got[4], got[3])
	}
	// Ann was asked for once, although she stands there twice.
	if !reflect.DeepEqual(v.asked, []string{"email ann", "email bob", "email dan", "phone +2", "phone +3", "phone +4"}) {
		t.Errorf("asked %q", v.asked)
	}
}

func TestAnswersAreKeptForTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{users: map[string]string{"email ann": "U1"}}
		d, k := directory(nil)
		people := []relay.Person{{Email: "ann"}, {Email: "bob"}}
		ask := func() []identity.Result { return d.Resolve(t.Context(), "s", both, people, v.ask) }
		ask()
		if got := ask(); len(v.asked) != 2 || got[0].User != "U1" || !got[0].Cached || got[1].Verdict != relay.Unmatched {
			t.Errorf("asked %q, got %+v", v.asked, got)
		}
		if got := d.User("s", both, relay.Person{Email: "ann"}); got != "U1" {
			t.Errorf("user %q", got)
		}
		if got := d.User("other", both, relay.Person{Email: "ann"}); got != "" {
			t.Errorf("another account knows %q", got)
		}
		time.Sleep(2 * time.Minute)
		ask()
		if len(v.asked) != 3 || v.asked[2] != "email bob" {
			t.Errorf("asked %q: a miss is kept for a minute, a match for an hour", v.asked)
		}
		v.users["email bob"] = "U2"
		time.Sleep(2 * time.Minute)
		if got := ask(); got[1].User != "U2" {
			t.Errorf("a miss is remembered for ever: %+v", got[1])
		}
		// What was kept is there after a restart.
		again, _ := directory(k.all)
		if got := again.User("s", both, relay.Person{Email: "ann"}); got != "U1" {
			t.Errorf("after a restart: user %q", got)
		}
		d.Forget("s", "U1")
		if got := d.User("s", both, relay.Person{Email: "ann"}); got != "" {
			t.Errorf("forgotten, and still %q", got)
		}
		if last := k.all[len(k.all)-1]; last.Value != "ann" || !last.Until.IsZero() {
			t.Errorf("forgetting is kept as %+v", last)
		}
	})
}

func TestOneLookUpInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{users: map[string]string{"email ann": "U1"}, wait: time.Second}
		d, _ := directory(nil)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				got := d.Resolve(t.Context(), "s", both, []relay.Person{{Email: "ann"}}, v.ask)
				if got[0].User != "U1" {
					t.Errorf("got %+v", got[0])
				}
			})
		}
		all.Wait()
		if len(v.asked) != 1 {
			t.Errorf("asked %q", v.asked)
		}
	})
}

func TestFailedLookUpIsNotAMiss(t *testing.T) {
	v := &vendor{users: map[string]string{"email ann": "U1"}, down: true}
	d, k := directory(nil)
	people := []relay.Person{{Email: "ann", Phone: "+1"}}
	if got := d.Resolve(t.Context(), "s", both, people, v.ask); got[0].Verdict != relay.Temporary || got[0].Error != "503" || got[0].Request == nil {
		t.Errorf("got %+v", got[0])
	}
	v.down = false
	if got := d.Resolve(t.Context(), "s", both, people, v.ask); got[0].User != "U1" {
		t.Errorf("then right: got %+v", got[0])
	}
	if len(k.all) != 1 {
		t.Errorf("kept %+v", k.all)
	}
	// A look-up that answers for nobody is temporary, too.
	if got := d.Resolve(t.Context(), "s", both, []relay.Person{{Email: "bob"}}, func(context.Context, string, []relay.Person) []identity.Answer { return nil }); got[0].Verdict != relay.Temporary {
		t.Errorf("no answer: %+v", got[0])
	}
}

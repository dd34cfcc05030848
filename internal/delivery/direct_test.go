package delivery_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/delivery"
)

// people is a destination whose direct messages use an account.
func people(name, account string) delivery.Destination {
	d := destination(name)
	d.Part, d.Account, d.Settings, d.Concurrency = relay.PartDirect, account, account+" s1", 8
	d.Windows = []delivery.Window{{Key: account}}
	return d
}

// write stores an event with a direct message to each of people.
func (w *world) write(destination string, f relay.Fallback, people ...string) string {
	w.t.Helper()
	w.last++
	e := relay.Accepted{
		ID: fmt.Sprintf("event-%05d", w.last), Source: "test", Type: "issue.approved", Level: relay.LevelInfo, Title: "t",
		Body: []byte(`{"type":"issue.approved"}`), At: time.Now(),
	}
	for _, p := range people {
		e.Deliveries = append(e.Deliveries, relay.NewDelivery{Destination: destination, Provider: "p", Recipient: `"` + p + `"`, Fallback: f})
	}
	if _, err := w.store.Append(w.t.Context(), []relay.Accepted{e}); err != nil {
		w.t.Fatal(err)
	}
	w.engine.Wake(relay.Direct(destination))
	return e.ID
}

// ends tells how the deliveries of an event stand: "ann delivered 1", … by
// recipient, with the number of attempts; the channel's is "channel …".
func (w *world) ends(event string) string {
	w.t.Helper()
	rows, _, err := w.store.Deliveries(w.t.Context(), relay.DeliveryFilter{EventID: event, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for i := len(rows) - 1; i >= 0; i-- {
		name := strings.Trim(string(rows[i].Recipient), `"`)
		if rows[i].Part == relay.PartChannel {
			name = "channel"
		}
		out = append(out, fmt.Sprintf("%s %s %d", name, rows[i].State, rows[i].Attempts))
	}
	return strings.Join(out, ", ")
}

func (w *world) want(what, event, want string) {
	w.t.Helper()
	if got := w.ends(event); got != want {
		w.t.Errorf("%s: %s; want %s", what, got, want)
	}
}

func match(user string) delivery.Resolution {
	return delivery.Resolution{Match: &relay.Match{User: user, By: "email"}}
}

func found(c relay.Claimed) delivery.Resolution { return match("U-" + strings.Trim(c.Recipient, `"`)) }

func TestDirectMessages(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		tries := map[string]int{}
		try := func(what string) int {
			mu.Lock()
			defer mu.Unlock()
			tries[what]++
			return tries[what]
		}
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			switch {
			case c.Part == relay.PartChannel:
			case c.User == "":
				t.Errorf("%s was sent to nobody", c.ID)
			case strings.HasPrefix(c.User, "U-flaky") && try(c.User) <= 2:
				return relay.Report{Verdict: relay.Temporary, Error: "503"}
			case strings.HasPrefix(c.User, "U-blocked"):
				return relay.Report{Verdict: relay.RecipientRefused, Error: "blocked"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"), people("d", "app"))
		defer w.close()
		w.who = func(c relay.Claimed) delivery.Resolution {
			switch name := strings.Trim(c.Recipient, `"`); {
			case strings.HasPrefix(name, "nobody"):
				return delivery.Resolution{Report: relay.Report{Verdict: relay.Unmatched, Error: "no such email"}}
			case strings.HasPrefix(name, "late") && try("look-up "+name) <= 2:
				return delivery.Resolution{Report: relay.Report{Verdict: relay.Temporary, Error: "502"}}
			case name == "annie":
				return match("U-ann")
			}
			return found(c)
		}
		all := w.write("d", relay.FallbackNoneMatched, "ann", "bob", "cem")
		none := w.write("d", relay.FallbackNoneMatched, "nobody1", "nobody2")
		some := w.write("d", relay.FallbackNoneMatched, "ann", "nobody1")
		late := w.write("d", relay.FallbackNoneMatched, "late1", "nobody1")
		flaky := w.write("d", relay.FallbackNoneMatched, "ann", "flaky", "cem")
		twins := w.write("d", relay.FallbackNoneMatched, "ann", "annie")
		blocked := w.write("d", relay.FallbackAnyFailed, "blocked", "ann")
		settle(time.Hour)
		w.want("all matched", all, "ann delivered 1, bob delivered 1, cem delivered 1")
		w.want("none matched", none, "nobody1 dead 1, nobody2 dead 1, channel delivered 1")
		w.want("some matched", some, "ann delivered 1, nobody1 dead 1")
		w.want("a look-up that fails, then right", late, "late1 delivered 3, nobody1 dead 1")
		w.want("one of three is retried", flaky, "ann delivered 1, flaky delivered 3, cem delivered 1")
		// Whose look-up is answered first gets the message.
		if got := w.ends(twins); got != "ann delivered 1, annie skipped 0" && got != "ann skipped 0, annie delivered 1" {
			t.Errorf("two keys of one person: %s", got)
		}
		w.want("one blocked", blocked, "blocked dead 1, ann delivered 1, channel delivered 1")
		rows, _, err := w.store.Deliveries(t.Context(), relay.DeliveryFilter{EventID: none})
		if err != nil || !rows[0].Fallback || rows[1].Reason != "unmatched" {
			t.Errorf("rows %+v, %v", rows, err)
		}
	})
}

// A look-up that never works ends as one that found nobody.
func TestLookUpThatExpiresFallsBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		direct := people("d", "app")
		direct.RetryFor = time.Hour
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), destination("d"), direct)
		defer w.close()
		w.who = func(relay.Claimed) delivery.Resolution {
			return delivery.Resolution{Report: relay.Report{Verdict: relay.Temporary, Error: "connection refused"}}
		}
		id := w.write("d", relay.FallbackNoneMatched, "ann")
		settle(30 * time.Minute)
		if got := w.ends(id); strings.Contains(got, "channel") {
			t.Errorf("a failed look-up counts as a miss: %s", got)
		}
		settle(3 * time.Hour)
		if got := w.ends(id); !strings.HasPrefix(got, "ann expired") || !strings.HasSuffix(got, "channel delivered 1") {
			t.Errorf("after the last try: %s", got)
		}
	})
}

// Refused credentials hold the direct messages that use them, and nothing else.
func TestRefusedCredentialsHoldTheirDirectMessages(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		bad, asked := true, 0
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}),
			destination("a"), people("a", "app"), people("b", "app"), destination("c"), people("c", "other app"))
		defer w.close()
		w.who = func(c relay.Claimed) delivery.Resolution {
			mu.Lock()
			defer mu.Unlock()
			if c.Destination != "c" && bad {
				asked++
				return delivery.Resolution{Report: relay.Report{Verdict: relay.DestinationRefused, Error: "invalid_auth"}}
			}
			return found(c)
		}
		a := w.write("a", relay.FallbackNoneMatched, "ann")
		settle(time.Second)
		b, c := w.write("b", relay.FallbackNoneMatched, "ann"), w.write("c", relay.FallbackNoneMatched, "ann")
		channel := w.accept("a")[0]
		settle(48 * time.Hour)
		w.want("of the same app", a, "ann held 1")
		w.want("through another destination", b, "ann held 0")
		w.want("of another app", c, "ann delivered 1")
		w.want("the channel", channel, "channel delivered 1")
		if asked != 1 {
			t.Errorf("bad credentials were used %d times", asked)
		}
		// It stays so over a restart, and a new destination of the app is held as well.
		w.close()
		w.start(destination("a"), people("a", "app"), people("b", "app"), people("n", "app"), destination("c"), people("c", "other app"))
		n := w.write("n", relay.FallbackNoneMatched, "ann")
		settle(time.Hour)
		w.want("after a restart", a, "ann held 1")
		w.want("a new destination", n, "ann held 0")
		mu.Lock()
		bad = false
		mu.Unlock()
		if err := w.engine.Resume(t.Context(), relay.Direct("b")); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		w.want("resumed through another destination", a, "ann delivered 2")
		w.want("resumed", b, "ann delivered 1")
		w.want("resumed with the others", n, "ann delivered 1")
		pauses, err := w.store.Pauses(t.Context())
		if err != nil || len(pauses) > 0 {
			t.Errorf("pauses left: %v, %v", pauses, err)
		}
	})
}

// Other credentials end the pause that the old ones caused, and only that.
func TestNewCredentialsGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), people("a", "app"), people("b", "app"))
		defer w.close()
		w.who = func(c relay.Claimed) delivery.Resolution {
			if c.Destination == "a" {
				return delivery.Resolution{Report: relay.Report{Verdict: relay.DestinationRefused, Error: "invalid_auth"}}
			}
			return found(c)
		}
		w.write("a", relay.FallbackNever, "ann")
		settle(time.Minute)
		b := w.write("b", relay.FallbackNever, "ann")
		settle(time.Minute)
		w.want("held with the other", b, "ann held 0")
		w.engine.SetDestinations([]delivery.Destination{people("a", "app"), people("b", "new app")})
		settle(time.Minute)
		w.want("with other credentials", b, "ann delivered 1")
		w.engine.SetDestinations([]delivery.Destination{people("a", "app"), people("b", "app")})
		again := w.write("b", relay.FallbackNever, "ann")
		settle(time.Minute)
		w.want("back to the refused ones", again, "ann held 0")
	})
}

// What is held for long goes to the channel, where the policy says so; the
// direct messages stay held.
func TestHeldDirectMessagesFallBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		direct := people("d", "app")
		direct.FallBackAfter = 10 * time.Minute
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.Part == relay.PartDirect {
				return relay.Report{Verdict: relay.DestinationRefused, Error: "token_revoked"}
			}
			return relay.Report{Verdict: relay.Delivered}
		}, destination("d"), direct)
		defer w.close()
		w.who = found
		some := w.write("d", relay.FallbackNoneDelivered, "ann", "bob")
		other := w.write("d", relay.FallbackNoneMatched, "ann")
		settle(9 * time.Minute)
		late := w.write("d", relay.FallbackNoneDelivered, "ann")
		settle(2 * time.Minute)
		if got := w.ends(some); !strings.HasSuffix(got, "channel delivered 1") || !strings.HasPrefix(got, "ann held") {
			t.Errorf("held for ten minutes: %s", got)
		}
		if got := w.ends(other); strings.Contains(got, "channel") {
			t.Errorf("another policy: %s", got)
		}
		w.want("held for two minutes", late, "ann held 0")
		settle(10 * time.Minute)
		w.want("held for ten minutes, too", late, "ann held 0, channel delivered 1")
		settle(24 * time.Hour)
		w.want("only once", late, "ann held 0, channel delivered 1")
	})
}

// What a vendor gives one person in a minute is kept, and others do not wait for them.
func TestLimitOfAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		direct := people("d", "app")
		direct.Windows = append(direct.Windows, delivery.Window{Key: "app", Rate: relay.Rate{Count: 3, Per: time.Minute}, PerUser: true})
		w := newWorld(t, always(relay.Report{Verdict: relay.Delivered}), direct)
		defer w.close()
		w.who = found
		var ids []string
		for range 10 {
			ids = append(ids, w.write("d", relay.FallbackNever, "ann"))
		}
		bob := w.write("d", relay.FallbackNever, "bob")
		settle(time.Second)
		w.want("another person", bob, "bob delivered 1")
		settle(10 * time.Minute)
		starts := w.started("d")
		if len(starts) != 11 {
			t.Fatalf("%d of 11 were sent", len(starts))
		}
		for i, from := range starts {
			n := 0
			for _, at := range starts[i:] {
				if at.Sub(from) < time.Minute {
					n++
				}
			}
			if n > 4 { // three to Ann, one to Bob
				t.Errorf("%d messages within a minute", n)
			}
		}
		for _, id := range ids {
			w.want("in the end", id, "ann delivered 1")
		}
	})
}

// A crash between two recipients sends only what was in flight again.
func TestCrashBetweenTwoRecipients(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		block := make(chan struct{})
		w := newWorld(t, func(c relay.Claimed) relay.Report {
			if c.User == "U-bob" {
				<-block
			}
			return relay.Report{Verdict: relay.Delivered}
		}, people("d", "app"))
		w.who = found
		id := w.write("d", relay.FallbackNever, "ann", "bob")
		settle(time.Minute)
		w.want("before", id, "ann delivered 1, bob sending 0")
		w.stop() // the engine gives Bob up after its drain, as a new run finds him
		if err := <-w.ended; err != nil {
			t.Fatal(err)
		}
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
		close(block)
		w.start(people("d", "app"))
		defer w.close()
		settle(time.Minute)
		w.want("after", id, "ann delivered 1, bob delivered 1")
		if n := len(w.started("d")); n != 3 {
			t.Errorf("%d messages were sent, want Ann's and Bob's two", n)
		}
	})
}

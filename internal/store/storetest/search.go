package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// names are the events and destinations of rows.
func names(rows []relay.Delivery) string {
	var got []string
	for _, d := range rows {
		got = append(got, d.EventID+" "+d.Destination)
	}
	return strings.Join(got, ", ")
}

// logQuery asks before and after the log's index is made, and while it lacks
// the newest rows.
func logQuery(b *bench) {
	e1 := b.event("e1", "Order-4711", "a", "b")
	e1.Title = "Éclair \"quoted\" 100% ready"
	e1.Deliveries[1].Recipient = `{"name":"Ann","email":"Ann@example.com"}`
	e2 := b.event("e2", "", "a")
	e2.Title = "订单已发货"
	b.append(e1, e2)
	b.record(b.outcomeFor(b.claim("a", 1)[0], "channel_not_found"))
	b.append(b.event("e3", "", "c"))
	b.must(b.Pause(b.ctx, relay.Pause{Lane: relay.Channel("c"), Reason: "token_revoked", Since: b.options.Now()}))
	check := func(when string) {
		b.Helper()
		for _, c := range []struct{ query, want string }{
			{"title of", "e3 c"},
			{"éclair", "e1 b, e1 a"},
			{"ÉCLAIR \"QUO", "e1 b, e1 a"},
			{"100%", "e1 b, e1 a"},
			{"1%0", ""},
			{"order-4711", "e1 b, e1 a"},
			{"ann@", "e1 b"},
			{"email", ""},
			{"订单", "e2 a"},
			{"货", "e2 a"},
			{"货物", ""},
			{"dy", "e1 b, e1 a"},
			{"CHANNEL_NOT", "e1 a"},
			{"revoked", "e3 c"},
			{"no such text", ""},
			{"* OR NEAR(", ""},
		} {
			b.equal(when+": "+c.query, names(b.rows(relay.DeliveryFilter{Query: c.query})), c.want)
		}
		b.equal(when+": with a destination", names(b.rows(relay.DeliveryFilter{Query: "éclair", Destination: "b"})), "e1 b")
		b.equal(when+": with a state", names(b.rows(relay.DeliveryFilter{Query: "éclair", State: relay.StateDead})), "e1 a")
		b.equal(when+": with a recipient", names(b.rows(relay.DeliveryFilter{Query: "éclair", Recipient: "ann"})), "e1 b")
		b.equal(when+": page", names(b.rows(relay.DeliveryFilter{Query: "éclair", Limit: 1})), "e1 b")
	}
	check("no index")
	b.must(b.Index(b.ctx))
	check("indexed")
	b.append(b.event("e4", "", "a"))
	b.equal("newer than the index", names(b.rows(relay.DeliveryFilter{Query: "title of"})), "e4 a, e3 c")
	b.reopen(Options{})
	b.must(b.Index(b.ctx))
	b.equal("after reopening", names(b.rows(relay.DeliveryFilter{Query: "title of"})), "e4 a, e3 c")
}

// outcomeFor is a delivery that died for a reason.
func (b *bench) outcomeFor(c relay.Claimed, reason string) relay.Outcome {
	o := b.outcome(c, relay.StateDead, relay.MessageRefused)
	o.Reason = reason
	return o
}

// logIndexAgrees compares every filter with and without the index, page by page.
func logIndexAgrees(b *bench) {
	start := b.options.Now()
	for i := range 300 {
		e := b.event(fmt.Sprint("e", i), fmt.Sprint("k", i), fmt.Sprint("d", i%3))
		if i%50 == 0 {
			e.Type = "pipeline.failed"
		}
		if i%7 == 0 {
			e.Deliveries[0].Recipient = fmt.Sprintf(`{"name":"Person %d"}`, i)
		}
		e.Source = fmt.Sprint("s", i%2)
		b.append(e)
		b.later(time.Minute)
	}
	filters := []relay.DeliveryFilter{
		{}, {Destination: "d1"}, {Type: "pipeline.failed"}, {Destination: "d2", Type: "pipeline.failed"}, {Recipient: "person 2"},
		{Since: start.Add(100 * time.Minute)}, {Until: start.Add(50 * time.Minute)}, {Since: start.Add(10 * time.Minute), Until: start.Add(20 * time.Minute), Destination: "d0"},
		{Query: "e29"}, {Query: "k1", Destination: "d1"}, {Query: "of e7", Until: start.Add(time.Hour * 24)},
	}
	events := []relay.EventFilter{{}, {Source: "s1"}, {Type: "pipeline.failed"}, {Key: "k7"}, {Source: "s0", Key: "k8"}, {Level: relay.LevelWarn, Until: start.Add(time.Hour)}, {Since: start.Add(2 * time.Hour), Source: "s1"}}
	read := func() (out []string) {
		for _, f := range filters {
			var all []relay.Delivery
			for f.Limit = 7; ; {
				rows, next, err := b.Deliveries(b.ctx, f)
				b.must(err)
				if all = append(all, rows...); next == 0 {
					break
				}
				f.Before = next
			}
			out = append(out, names(all))
		}
		for _, f := range events {
			var ids []string
			for f.Limit = 7; ; {
				rows, next, err := b.Events(b.ctx, f)
				b.must(err)
				for _, r := range rows {
					ids = append(ids, r.ID)
				}
				if next == 0 {
					break
				}
				f.Before = next
			}
			out = append(out, strings.Join(ids, " "))
		}
		return out
	}
	before := read()
	b.equal("events by key", before[len(filters)+3], "e7")
	b.equal("events of a type", before[len(filters)+2], "e250 e200 e150 e100 e50 e0")
	b.must(b.Index(b.ctx))
	for i, after := range read() {
		b.equal(fmt.Sprint("filter ", i), after, before[i])
	}
}

func logIndexPruned(b *bench) {
	e := b.event("e1", "", "a")
	e.Deliveries[0].Recipient = `{"name":"Ann","email":"ann@example.com"}`
	b.append(e)
	b.must(b.Index(b.ctx))
	b.record(b.delivered(b.claimDirect("a", 1)[0]))
	b.later(time.Hour)
	n, err := b.Prune(b.ctx, b.options.Now(), 10)
	b.must(err)
	b.equal("pruned", n, 1)
	for _, f := range []relay.DeliveryFilter{{Query: "title"}, {Recipient: "ann"}, {Destination: "a"}} {
		b.equal("gone", names(b.rows(f)), "")
	}
	b.append(b.event("e2", "", "b")) // the place of the first in the log is free again
	b.equal("not indexed", names(b.rows(relay.DeliveryFilter{Destination: "b"})), "e2 b")
	b.must(b.Index(b.ctx))
	b.equal("indexed", names(b.rows(relay.DeliveryFilter{Query: "title of e2"})), "e2 b")
	b.equal("not what was there", names(b.rows(relay.DeliveryFilter{Destination: "a"})), "")
}

func replayAll(b *bench) {
	for i := range 3 {
		b.append(b.event(fmt.Sprint("e", i), "", "a"))
	}
	claimed := b.claim("a", 2)
	b.record(b.delivered(claimed[0]), b.outcomeFor(claimed[1], "gone"))
	seqs, unfinished, err := b.Finished(b.ctx, relay.DeliveryFilter{Limit: 1})
	b.must(err)
	b.equal("finished", len(seqs), 2)
	b.equal("unfinished", unfinished, 1)
	taken, made, lanes, err := b.ReplayAll(b.ctx, append(seqs, 999, claimed[0].Seq+2))
	b.must(err)
	b.equal("taken", taken, 4)
	b.equal("made", made, 2)
	b.equal("lanes", lanes, []relay.Lane{relay.Channel("a"), relay.Channel("a")})
	rows := b.rows(relay.DeliveryFilter{})
	b.equal("rows", names(rows), "e0 a, e1 a, e2 a, e1 a, e0 a")
	b.equal("repeats", *rows[0].ReplayOf, rows[4].ID)

	b.reopen(Options{})
	b.append(b.event("live", "", "a")) // it came last, and starts before every replay
	got := b.claim("a", 3)
	b.equal("order", events(got), []string{"e2", "live", "e1"})
	b.record(b.delivered(got[2]), b.delivered(got[0]))
	b.equal("the rest", events(b.claim("a", 5)), []string{"e0"})
}

func replayAllBounded(b *bench) {
	b.reopen(Options{MaxPending: 2})
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"))
	for _, c := range b.claim("a", 2) {
		b.record(b.delivered(c))
	}
	b.append(b.event("e3", "", "b"))
	seqs, _, err := b.Finished(b.ctx, relay.DeliveryFilter{Destination: "a"})
	b.must(err)
	taken, made, _, err := b.ReplayAll(b.ctx, seqs)
	b.must(err)
	b.equal("taken", taken, 1)
	b.equal("made", made, 1)
	_, _, _, err = b.ReplayAll(b.ctx, seqs[1:])
	b.is(err, relay.ErrBacklogFull)
	_, err = b.Reroute(b.ctx, "e2", []relay.NewDelivery{{Destination: "b", Provider: "chat"}})
	if err == nil {
		b.Fatal("routed again above the bound")
	}
}

func reroute(b *bench) {
	b.append(b.event("e1", "", "a"))
	again := []relay.NewDelivery{{Destination: "a", Provider: "chat"}, {Destination: "b", Provider: "chat", Recipient: `{"name":"Ann"}`, Fallback: relay.FallbackNoneMatched}}
	_, err := b.Reroute(b.ctx, "e1", again)
	b.is(err, relay.ErrUnfinished)
	_, err = b.Reroute(b.ctx, "nothing", again)
	b.is(err, relay.ErrNotFound)
	first := b.claim("a", 1)[0]
	b.record(b.delivered(first))
	made, err := b.Reroute(b.ctx, "e1", again)
	b.must(err)
	b.equal("made", len(made), 2)
	row, err := b.Delivery(b.ctx, made[0])
	b.must(err)
	b.equal("repeats", *row.ReplayOf, first.ID)
	row, err = b.Delivery(b.ctx, made[1])
	b.must(err)
	b.equal("repeats nothing", row.ReplayOf == nil, true)
	b.record(b.outcome(b.claimDirect("b", 1)[0], relay.StateDead, relay.Unmatched))
	b.equal("no fallback", len(b.claim("b", 1)), 0)
}

func purgePerson(b *bench) {
	e1 := b.event("e1", "job of ann@example.com", "team", "team", "ops")
	e1.Deliveries[0].Recipient = `{"name":"Ann","email":"Ann@Example.com","phone":"+86 138"}`
	e1.Deliveries[1].Recipient = `{"name":"Jo","email":"joann@example.com"}`
	e1.Body = []byte(`{"id":"e1","title":"for ann@example.com","actor":{"name":"Ann","email":"ann@example.com"},` +
		`"recipients":[{"name":"Ann","email":"ann\u0040example.com"},{"email":"joann@example.com","id":12345678901234567890}],"data":{"note":"ask ANN@example.com, or ann@example.com.au"}}`)
	e1.Original = []byte(`from=ann@example.com`)
	e2 := b.event("e2", "", "team")
	e2.Deliveries[0].Recipient = `{"email":"ann@example.com"}`
	e2.Body = []byte(`{"recipients":[{"email":"ann@example.com"}]}`)
	b.append(e1, e2, b.event("e3", "", "ops"))
	b.must(b.Index(b.ctx))
	b.must(b.Identify(b.ctx, []relay.Identity{
		{Account: "x", By: "email", Value: "ann@example.com", User: "U1", Until: b.options.Now().Add(time.Hour)},
		{Account: "x", By: "phone", Value: "+86138", User: "U1", Until: b.options.Now().Add(time.Hour)},
		{Account: "x", By: "email", Value: "joann@example.com", User: "U2", Until: b.options.Now().Add(time.Hour)},
	}))
	sending := b.claimDirect("team", 1)[0]
	ops := b.claim("ops", 1)[0]
	b.record(b.outcomeFor(ops, "ann@example.com is unknown"))

	got, err := b.Purge(b.ctx, " ann@example.COM")
	b.must(err)
	b.equal("purged", fmt.Sprintf("%+v", got), "{Events:1 Redacted:1 Deliveries:2 Attempts:1 Identities:2}")
	e, err := b.Event(b.ctx, "e1")
	b.must(err)
	b.equal("body", string(e.Body), `{"id":"e1","title":"for [purged]","recipients":[{"email":"joann@example.com","id":12345678901234567890}],"data":{"note":"ask [purged], or ann@example.com.au"}}`)
	b.equal("original", len(e.Original), 0)
	b.equal("key", e.Key, "job of [purged]")
	b.equal("rows", names(b.rows(relay.DeliveryFilter{})), "e3 ops, e1 ops, e1 team")
	row, err := b.Delivery(b.ctx, ops.ID)
	b.must(err)
	b.equal("reason", row.Reason, "[purged] is unknown")
	b.equal("bodies", row.Log[0].Request == nil && row.Log[0].Message == nil, true)
	b.equal("found by recipient", names(b.rows(relay.DeliveryFilter{Recipient: "ann@example.com"})), "e1 team")
	b.equal("found by text", names(b.rows(relay.DeliveryFilter{Query: "job of ann"})), "")
	b.equal("found by what is left", names(b.rows(relay.DeliveryFilter{Query: "job of [purged]"})), "e1 ops, e1 team")
	_, err = b.Event(b.ctx, "e2")
	b.is(err, relay.ErrNotFound)
	b.record(b.delivered(sending)) // too late: it is dropped
	b.equal("lost", b.LostClaims(), 1)
	again, err := b.Purge(b.ctx, "ann@example.com")
	b.must(err)
	b.equal("again", again, relay.Purged{})
	backlogs, err := b.Backlogs(b.ctx)
	b.must(err)
	b.equal("backlogs", len(backlogs), 2)
	file := filepath.Join(b.TempDir(), "relay.db")
	b.must(b.Backup(b.ctx, file))
	raw, err := os.ReadFile(file)
	b.must(err)
	text := strings.NewReplacer("joann@example.com", "", "ann@example.com.au", "").Replace(strings.ToLower(string(raw)))
	b.equal("left in a copy", strings.Contains(text, "ann@example.com"), false)
}

// relay.yaml may know more of a person than the event: then only what was sent
// names the person.
func purgeFromMessages(b *bench) {
	b.append(b.event("e1", "", "a"), b.event("e2", "", "a"))
	for _, c := range b.claim("a", 2) {
		o := b.delivered(c)
		o.Attempt.Request = &relay.Request{Method: "POST", Body: `{"to":"` + map[string]string{"e1": "ann", "e2": "joann"}[c.EventID] + `@example.com"}`}
		b.record(o)
	}
	got, err := b.Purge(b.ctx, "ann@example.com")
	b.must(err)
	b.equal("purged", fmt.Sprintf("%+v", got), "{Events:0 Redacted:1 Deliveries:0 Attempts:1 Identities:0}")
	for _, row := range b.rows(relay.DeliveryFilter{}) {
		full, err := b.Delivery(b.ctx, row.ID)
		b.must(err)
		b.equal("body of "+row.EventID, full.Log[0].Request == nil, row.EventID == "e1")
	}
}

func backUp(b *bench) {
	b.append(b.event("e1", "", "a"))
	file := filepath.Join(b.TempDir(), "relay.db")
	b.must(b.Backup(b.ctx, file))
	b.append(b.event("e2", "", "a"))
	info, err := os.Stat(file)
	b.must(err)
	b.equal("mode", info.Mode(), os.FileMode(0o600))
	if err := b.Backup(b.ctx, file); err == nil || !strings.Contains(err.Error(), "exists already") {
		b.Fatalf("overwritten: %v", err)
	}
	copied, err := b.open(filepath.Dir(file), b.options)
	b.must(err)
	rows, _, err := copied.Deliveries(b.ctx, relay.DeliveryFilter{})
	b.must(err)
	b.equal("rows of the copy", names(rows), "e1 a")
	b.must(copied.Close())
}

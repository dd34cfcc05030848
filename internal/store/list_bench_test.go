package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
)

// BenchmarkDeliveries asks a log of a million deliveries for a page, by every
// filter: for what is everywhere, for what is rare and old, for what is not
// there at all.
func BenchmarkDeliveries(b *testing.B) {
	const rows = 1_000_000
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := millionDeliveries(b, rows, start)
	for _, f := range []struct {
		name   string
		filter relay.DeliveryFilter
	}{
		{"nothing", relay.DeliveryFilter{}},
		{"deep cursor", relay.DeliveryFilter{Before: rows / 2}},
		{"destination", relay.DeliveryFilter{Destination: "team-1"}},
		{"destination rare", relay.DeliveryFilter{Destination: "rare"}},
		{"destination none", relay.DeliveryFilter{Destination: "none"}},
		{"type", relay.DeliveryFilter{Type: "issue.created"}},
		{"type rare", relay.DeliveryFilter{Type: "pipeline.failed"}},
		{"destination and type", relay.DeliveryFilter{Destination: "team-1", Type: "pipeline.failed"}},
		{"delivered", relay.DeliveryFilter{State: relay.StateDelivered}},
		{"dead", relay.DeliveryFilter{State: relay.StateDead}},
		{"pending", relay.DeliveryFilter{State: relay.StatePending}},
		{"held", relay.DeliveryFilter{State: relay.StateHeld}},
		{"recipient", relay.DeliveryFilter{Recipient: "person"}},
		{"recipient rare", relay.DeliveryFilter{Recipient: "person70000@"}},
		{"recipient none", relay.DeliveryFilter{Recipient: "nobody@nowhere"}},
		{"since", relay.DeliveryFilter{Since: start.Add(rows * time.Second / 2)}},
		{"until", relay.DeliveryFilter{Until: start.Add(1000 * time.Second)}},
		{"between", relay.DeliveryFilter{Since: start.Add(5000 * time.Second), Until: start.Add(5010 * time.Second)}},
		{"until, destination", relay.DeliveryFilter{Until: start.Add(1000 * time.Second), Destination: "team-1"}},
		{"q common", relay.DeliveryFilter{Query: "index"}},
		{"q rare", relay.DeliveryFilter{Query: "number 123456 "}},
		{"q key", relay.DeliveryFilter{Query: "key-654321"}},
		{"q none", relay.DeliveryFilter{Query: "no such text"}},
		{"q reason", relay.DeliveryFilter{Query: "channel_not_found"}},
		{"q two common", relay.DeliveryFilter{Query: "in"}},
		{"q two rare", relay.DeliveryFilter{Query: "订单"}},
		{"q one none", relay.DeliveryFilter{Query: "ø"}},
		{"q and dead", relay.DeliveryFilter{Query: "title", State: relay.StateDead}},
	} {
		b.Run(strings.ReplaceAll(f.name, " ", "-"), func(b *testing.B) {
			f.filter.Limit = 50
			n := 0
			var worst time.Duration
			for b.Loop() {
				at := time.Now()
				rows, _, err := s.Deliveries(b.Context(), f.filter)
				if err != nil {
					b.Fatal(err)
				}
				n, worst = len(rows), max(worst, time.Since(at))
			}
			b.ReportMetric(float64(n), "rows")
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
		})
	}
}

// millionDeliveries fills a store by SQL, since only its size counts here, and
// lets it make its index.
func millionDeliveries(b *testing.B, rows int, start time.Time) *store.Store {
	dir := b.TempDir()
	if err := mustOpen(b, dir).Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "relay.db"))
	if err != nil {
		b.Fatal(err)
	}
	for _, text := range []string{
		`PRAGMA synchronous = OFF`,
		`CREATE TEMP TABLE n (i INTEGER PRIMARY KEY)`,
		fmt.Sprintf(`WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) INSERT INTO n SELECT i FROM c`, rows),
		fmt.Sprintf(`INSERT INTO events (id, key, source, type, level, title, body, digest, created, deliveries)
			SELECT printf('event-%%08d', i), 'key-' || i, 'app', CASE WHEN i %% 50000 = 7 THEN 'pipeline.failed' ELSE 'issue.created' END, 'info',
			'title: add index number ' || i || ' to table ' || char(97 + i %% 26, 97 + i / 26 %% 26, 97 + i / 676 %% 26) || CASE WHEN i = 777 THEN ' 订单' ELSE '' END,
			'{}', x'00', %d + i * 1000, 1 FROM n`, start.UnixMilli()),
		fmt.Sprintf(`INSERT INTO deliveries (id, event_seq, destination, provider, direct, recipient, state, reason, due, created, updated, finished)
			SELECT printf('delivery-%%08d', i), i, CASE WHEN i %% 100000 = 3 THEN 'rare' ELSE 'team-' || (i %% 8) END, 'slack', i %% 10 = 0,
			CASE WHEN i %% 10 = 0 THEN '{"name":"Person","email":"person' || i || '@example.com"}' ELSE '' END,
			CASE WHEN i %% 50 = 1 THEN 'dead' WHEN i %% 1000 = 2 THEN 'pending' ELSE 'delivered' END,
			CASE WHEN i = 4051 THEN 'channel_not_found' WHEN i %% 50 = 1 THEN 'refused: reason ' || i %% 700 ELSE '' END,
			0, %d + i * 1000, 0, CASE WHEN i %% 1000 = 2 THEN NULL ELSE 1 END FROM n`, start.UnixMilli()),
		`INSERT INTO pauses (destination, part, reason, since, manual, settings, probe) VALUES ('team-2', 'channel', 'token_revoked', 0, 0, '', 0)`,
	} {
		if _, err := db.Exec(text); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	s := mustOpen(b, dir)
	at := time.Now()
	if err := s.Index(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("indexed %d rows in %s, %.1f µs each", rows, time.Since(at), float64(time.Since(at).Microseconds())/float64(rows))
	return s
}

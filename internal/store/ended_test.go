package store_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
)

// TestEnded: every end is told once, and what was undone never.
func TestEnded(t *testing.T) {
	got := map[string]int{}
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{
		MaxPendingPerDestination: 2, Ended: func(destination string, state relay.State) { got[destination+" "+string(state)]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	event := func(id string, digest byte) relay.Accepted {
		return relay.Accepted{
			ID: fmt.Sprintf("%s-%d", id, digest), Key: id, Source: "s", Type: "issue.created", Title: "t", Body: []byte(`{}`), Digest: [32]byte{digest}, At: time.Now(),
			Deliveries: []relay.NewDelivery{{Destination: "d", Provider: "p"}},
		}
	}
	// Three of them find the destination full; then a conflict undoes two more.
	for _, all := range [][]relay.Accepted{
		{event("a", 1)}, {event("b", 1), event("c", 1), event("d", 1), event("e", 1)}, {event("f", 1), event("g", 1), event("a", 2)},
	} {
		if _, err := s.Append(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	claimed, _, err := s.Step(t.Context(), nil, []relay.ClaimRequest{{Lane: relay.Channel("d"), Limit: 2}})
	if err != nil || len(claimed) != 2 {
		t.Fatalf("claimed %v, %v", claimed, err)
	}
	outcomes := []relay.Outcome{
		{Seq: claimed[0].Seq, Claim: claimed[0].Claim, State: relay.StateDelivered},
		{Seq: claimed[0].Seq, Claim: claimed[0].Claim, State: relay.StateDelivered}, // too late: its claim is over
		{Seq: claimed[1].Seq, Claim: claimed[1].Claim, State: relay.StatePending},
	}
	if _, _, err := s.Step(t.Context(), outcomes, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // the writer has told everything
		t.Fatal(err)
	}
	if want := map[string]int{"d dead": 3, "d delivered": 1}; !maps.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

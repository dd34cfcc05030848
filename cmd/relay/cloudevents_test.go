package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
)

// TestCloudEventsSDK sends by the CloudEvents project's own client in all three
// modes, and reads with its own decoder what a receiver in format cloudevents
// gets of it.
func TestCloudEventsSDK(t *testing.T) {
	h := newHook(t)
	p := startRelay(t, workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(
		"server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\ndestinations:\n  out: {provider: custom, url: %q, format: cloudevents}\n", h.URL)}))
	at := time.Date(2026, 11, 21, 8, 0, 0, 123_000_000, time.UTC)
	made := func(id string) cloudevents.Event {
		e := cloudevents.NewEvent()
		e.SetID(id)
		e.SetSource("https://shop.example.com/orders")
		e.SetType("com.example.order.placed")
		e.SetSubject("order 7: 50% off, für Ann \"x\" 😀")
		e.SetTime(at)
		e.SetExtension("traceparent", "00-abc-01")
		if err := e.SetData("application/json", map[string]any{"title": "Order 7", "level": "warn", "total": 12.5, "items": []int{1, 2}}); err != nil {
			t.Fatal(err)
		}
		return e
	}
	client, err := cloudevents.NewClientHTTP(cehttp.WithTarget(p.base + "/v1/events"))
	if err != nil {
		t.Fatal(err)
	}
	for id, mode := range map[string]func(context.Context) context.Context{
		"binary": binding.WithForceBinary, "structured": binding.WithForceStructured,
	} {
		if result := client.Send(mode(t.Context()), made(id)); !cloudevents.IsACK(result) {
			t.Errorf("%s: %v", id, result)
		}
	}
	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), p.base+"/v1/events", []cloudevents.Event{made("batch-0"), made("batch-1"), made("binary")})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answers []struct{ Duplicate bool }
	if err := json.NewDecoder(resp.Body).Decode(&answers); err != nil || resp.StatusCode != 202 || len(answers) != 3 || answers[0].Duplicate || !answers[2].Duplicate {
		t.Errorf("a batch is answered %d %+v (%v)", resp.StatusCode, answers, err)
	}

	p.until("all arrived", func() bool { return len(h.all()) == 4 })
	seen := map[string]bool{}
	for _, body := range h.all() {
		var out cloudevents.Event
		if err := json.Unmarshal([]byte(body), &out); err != nil {
			t.Fatalf("the SDK cannot read %s: %v", body, err)
		}
		in := made(out.ID())
		seen[out.ID()] = true
		var data struct {
			Title, Level string
			Data         struct {
				Subject, Traceparent string
				Total                float64
				Items                []int
			}
		}
		if err := out.DataAs(&data); err != nil {
			t.Fatal(err)
		}
		if out.Source() != in.Source() || out.Type() != in.Type() || !out.Time().Equal(at) ||
			data.Title != "Order 7" || data.Level != "warn" || data.Data.Subject != in.Subject() || data.Data.Traceparent != "00-abc-01" ||
			data.Data.Total != 12.5 || !slices.Equal(data.Data.Items, []int{1, 2}) {
			t.Errorf("%s came out as %s", out.ID(), body)
		}
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"batch-0", "batch-1", "binary", "structured"}) {
		t.Errorf("arrived: %v", got)
	}
}

package route_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/route"
)

func nobody(p relay.Person, _ string) relay.Person { return p }

// Whom a destination names gets what it writes directly beside whom the event
// names, and is still one person.
func TestRecipientsOfADestination(t *testing.T) {
	direct := &route.Direct{Events: []string{"issue.*"}, Recipients: []relay.Person{{Email: "ann@example.com"}, {Phone: "+86138"}}}
	table := route.New([]route.Destination{{Name: "a", Provider: "chat", Direct: direct}, {Name: "b", Provider: "chat", Direct: &route.Direct{Events: []string{"issue.*"}}}}, nobody)
	for body, want := range map[string][]string{
		`{}`: {`{"email":"ann@example.com"}`, `{"phone":"+86138"}`, ``},
		`{"recipients":[{"name":"Bob"},{"name":"Ann","email":"Ann@example.com"}]}`: {
			`{"name":"Bob"}`, `{"name":"Ann","email":"Ann@example.com"}`, `{"phone":"+86138"}`, `{"name":"Bob"}`, `{"name":"Ann","email":"Ann@example.com"}`},
	} {
		var got []string
		for _, d := range table.Route("issue.created", []byte(body)) {
			got = append(got, d.Recipient)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %q\nwant %q", body, got, want)
		}
	}
}

func TestDirectMessages(t *testing.T) {
	ask := &route.Direct{Events: []string{"issue.approval_requested", "issue.sent_*"}, Fallback: relay.FallbackAnyFailed}
	table := route.New([]route.Destination{
		{Name: "people", Provider: "chat", Direct: ask},
		{Name: "room", Provider: "chat"},
		{Name: "picky", Provider: "chat", Events: []string{"pipeline.*"}, Direct: ask},
		{Name: "demo", Provider: "chat", Match: map[string][]string{"project.name": {"demo"}}, Direct: ask},
	}, func(p relay.Person, source string) relay.Person {
		if p.Name == "Dan" && source == "app" {
			p.Email = "ANN@example.com" // relay.yaml knows that it is Ann
		}
		return p
	})
	recipients := `"recipients":[{"name":"Ann","email":"ann@example.com"},{"name":"Bob","phone":"+86 138","ids":{"chat":"U2"}},
		{"email":"Ann@example.com","phone":"+1"},{"name":"Bob","phone":"+86138"},{"name":"Cem"},{"name":"Dan"},{"name":"E","ids":{"chat":"U2"}}]`
	event := func(more string) []byte {
		return []byte(`{"id":1,"source":"app","project":{"name":"prod"},` + more + `}`)
	}
	said := func(all []relay.NewDelivery) (out []string) {
		for _, d := range all {
			out = append(out, fmt.Sprintf("%s %s %s", d.Lane(), d.Fallback, d.Recipient))
		}
		return out
	}
	for _, c := range []struct {
		name, eventType, more string
		want                  []string
	}{
		{"each person once", "issue.approval_requested", recipients, []string{
			`{people direct} any_failed {"name":"Ann","email":"ann@example.com","phone":"+1"}`,
			`{people direct} any_failed {"name":"Bob","phone":"+86 138","ids":{"chat":"U2"}}`,
			`{people direct} any_failed {"name":"Cem"}`,
			`{room channel}  `,
		}},
		{"by a glob", "issue.sent_back", `"recipients":[{"email":"ann@example.com"}]`,
			[]string{`{people direct} any_failed {"email":"ann@example.com"}`, `{room channel}  `}},
		{"another type goes to the channel", "issue.created", recipients, []string{`{people channel}  `, `{room channel}  `}},
		{"so does an event without recipients", "issue.approval_requested", `"recipients":[]`, []string{`{people channel}  `, `{room channel}  `}},
	} {
		if got := said(table.Route(c.eventType, event(c.more))); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

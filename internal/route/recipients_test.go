package route_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/route"
)

func nobody(p relay.Person, _ string) relay.Person { return p }

func TestDirectMessages(t *testing.T) {
	ask := &route.Direct{Events: []string{"issue.approval_requested", "issue.sent_*"}, Fallback: relay.FallbackAnyFailed}
	table := route.New([]route.Destination{
		{Name: "people", Provider: "chat", Direct: ask},
		{Name: "room", Provider: "chat"},
		{Name: "picky", Provider: "chat", Events: []string{"pipeline.*"}, Direct: ask},
		{Name: "no room", Provider: "chat", PeopleOnly: true, Events: []string{"issue.approval_requested", "issue.created"}, Direct: ask},
		{Name: "more", Provider: "chat", Events: []string{"issue.sent_back", "issue.approved"}, Direct: &route.Direct{Events: []string{"issue.*"}},
			Recipients: []relay.Person{{Email: "ANN@example.com", Phone: "+7"}, {Name: "Fay", IDs: map[string]string{"chat": "U7"}}}},
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
			`{no room direct} any_failed {"name":"Ann","email":"ann@example.com","phone":"+1"}`,
			`{no room direct} any_failed {"name":"Bob","phone":"+86 138","ids":{"chat":"U2"}}`,
			`{no room direct} any_failed {"name":"Cem"}`,
		}},
		{"by a glob", "issue.sent_back", `"recipients":[{"email":"ann@example.com"}]`,
			[]string{`{people direct} any_failed {"email":"ann@example.com"}`, `{room channel}  `,
				`{more direct}  {"email":"ann@example.com","phone":"+7"}`, `{more direct}  {"name":"Fay","ids":{"chat":"U7"}}`}},
		{"a destination's own", "issue.approved", `"recipients":[]`,
			[]string{`{people channel}  `, `{room channel}  `, `{more direct}  {"email":"ANN@example.com","phone":"+7"}`, `{more direct}  {"name":"Fay","ids":{"chat":"U7"}}`}},
		{"another type goes to the channel", "issue.created", recipients, []string{`{people channel}  `, `{room channel}  `}},
		{"so does an event without recipients", "issue.approval_requested", `"recipients":[]`, []string{`{people channel}  `, `{room channel}  `}},
	} {
		if got := said(table.Route(c.eventType, event(c.more))); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

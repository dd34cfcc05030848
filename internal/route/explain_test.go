package route

import (
	"testing"

	"github.com/relay-sidecar/relay"
)

func TestExplain(t *testing.T) {
	nobody := func(p relay.Person, _ string) relay.Person { return p }
	people := &Direct{Events: []string{"issue.*"}, Fallback: relay.FallbackNoneMatched}
	table := New([]Destination{
		{Name: "all"},
		{Name: "off", Disabled: true},
		{Name: "globs", Events: []string{"pipeline.*", "stage.*"}},
		{Name: "glob", Events: []string{"issue.*"}, Match: map[string][]string{"level": {"warn", "error"}}},
		{Name: "match", Match: map[string][]string{"level": {"info"}}},
		{Name: "missing", Match: map[string][]string{"data.team": {"dba"}}},
		{Name: "direct", Direct: people},
		{Name: "people", Direct: &Direct{Events: []string{"pipeline.*"}}, PeopleOnly: true},
	}, nobody)
	body := []byte(`{"type":"issue.created","source":"app","level":"warn","recipients":[{"email":"ann@example.com"},{"email":"bob@example.com"}]}`)
	want := []Reason{
		{"all", "", true, `it takes all events, to the channel`},
		{"off", "", false, `it is disabled`},
		{"globs", "", false, `events [pipeline.*, stage.*] does not hold issue.created`},
		{"glob", "", true, `events has "issue.*", match level fits, to the channel`},
		{"match", "", false, `match level wants [info], and the event has "warn"`},
		{"missing", "", false, `match data.team wants [dba], and the event has no such field`},
		{"direct", "", true, `it takes all events, direct_messages holds the type: to 2 people, fallback none_matched`},
		{"people", "", false, `it is for people only, and direct_messages does not hold issue.created`},
	}
	got := table.Explain("issue.created", body)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got  %+v\nwant %+v", got[i], want[i])
		}
	}
	got = table.Explain("issue.created", []byte(`{"type":"issue.created"}`))
	if want := `it takes all events, direct_messages holds the type, and the event names no recipient: to the channel`; got[6].Why != want {
		t.Errorf("got  %s\nwant %s", got[6].Why, want)
	}
	if got := table.Explain("relay.test", []byte(`{}`)); got[0].Why != "relay.test is relay's own type, which goes only where events names it" {
		t.Error(got[0])
	}
}

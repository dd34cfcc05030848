package route_test

import (
	"slices"
	"testing"

	"github.com/relay-sidecar/relay/internal/route"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"issue.created", "issue.created", true},
		{"issue.created", "issue.created2", false},
		{"issue.*", "issue.created", true},
		{"issue.*", "issue.comment.created", true}, // * crosses dots
		{"issue.*", "pipeline.failed", false},
		{"*", "anything", true},
		{"*", "", true},
		{"*.failed", "pipeline.failed", true},
		{"*.failed", "pipeline.failed.again", false},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"a*a", "a", false},
		{"a*ab*b", "aabb", true},
		{"prod-*", "prod-eu", true},
		{"a.c", "abc", false}, // a dot is a dot
		{"", "", true},
		{"", "x", false},
	} {
		if got := route.Glob(c.pattern, c.text); got != c.want {
			t.Errorf("Glob(%q, %q) = %v, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

const event = `{"type":"issue.created","level":"warn","title":"t",
	"project":{"id":7,"name":"prod-eu"},"data":{"tags":["db","urgent"],"big":12345678901234567890,"on":true,"a.b":{"c":"x"}}}`

func TestRoute(t *testing.T) {
	for _, c := range []struct {
		name      string
		d         route.Destination
		eventType string
		want      bool
	}{
		{"no wishes", route.Destination{}, "issue.created", true},
		{"no wishes leave out relay's own", route.Destination{}, "relay.test", false},
		{"relay's own when asked for", route.Destination{Events: []string{"relay.*"}}, "relay.test", true},
		{"disabled", route.Destination{Disabled: true}, "issue.created", false},
		{"one of several globs", route.Destination{Events: []string{"a.*", "issue.*"}}, "issue.created", true},
		{"no glob", route.Destination{Events: []string{"a.*"}}, "issue.created", false},
		{"case matters", route.Destination{Events: []string{"Issue.*"}}, "issue.created", false},
		{"match by glob", route.Destination{Match: map[string][]string{"project.name": {"demo", "prod-*"}}}, "issue.created", true},
		{"no match", route.Destination{Match: map[string][]string{"project.name": {"demo"}}}, "issue.created", false},
		{"all keys must match", route.Destination{Match: map[string][]string{"project.name": {"prod-*"}, "level": {"error"}}}, "issue.created", false},
		{"numbers compare as text", route.Destination{Match: map[string][]string{"project.id": {"7"}, "data.big": {"12345678901234567890"}}}, "issue.created", true},
		{"any element of an array", route.Destination{Match: map[string][]string{"data.tags": {"urgent"}}}, "issue.created", true},
		{"booleans as text", route.Destination{Match: map[string][]string{"data.on": {"true"}}}, "issue.created", true},
		{"a key with a dot", route.Destination{Match: map[string][]string{"data.a.b.c": {"x"}}}, "issue.created", true},
		{"missing path", route.Destination{Match: map[string][]string{"data.none": {"*"}}}, "issue.created", false},
		{"an object is no text", route.Destination{Match: map[string][]string{"project": {"*"}}}, "issue.created", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.d.Name, c.d.Provider = "d", "p"
			got := route.New([]route.Destination{c.d}, nobody).Route(c.eventType, []byte(event))
			if (len(got) == 1) != c.want {
				t.Errorf("routed %v, want %v", got, c.want)
			}
		})
	}
}

func TestRouteKeepsOrder(t *testing.T) {
	table := route.New([]route.Destination{{Name: "b"}, {Name: "a"}, {Name: "c", Events: []string{"x"}}}, nobody)
	var got []string
	for _, d := range table.Route("issue.created", []byte(event)) {
		got = append(got, d.Destination)
	}
	if want := []string{"b", "a"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

package people_test

import (
	"reflect"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/people"
)

func TestComplete(t *testing.T) {
	d := people.New([]people.Person{
		{Email: "Ann@example.com", Phone: "+86 138-0000-0000", Name: "Ann", IDs: map[string]string{"slack": "U1", "backlog": "12345"}},
		{Email: "bob@example.com", IDs: map[string]string{"discord": "803"}},
		{Email: "ann@example.com", Name: "another Ann"},
	})
	ann := relay.Person{Name: "Ann", Email: "Ann@example.com", Phone: "+86 138-0000-0000", IDs: map[string]string{"slack": "U1", "backlog": "12345"}}
	with := func(p relay.Person, change func(*relay.Person)) relay.Person { change(&p); return p }
	for name, c := range map[string]struct {
		in     relay.Person
		source string
		want   relay.Person
	}{
		"by email": {relay.Person{Email: " ANN@example.com"}, "", with(ann, func(p *relay.Person) { p.Email = " ANN@example.com" })},
		"by phone": {relay.Person{Phone: "+8613800000000"}, "", with(ann, func(p *relay.Person) { p.Phone = "+8613800000000" })},
		"by id":    {relay.Person{IDs: map[string]string{"slack": "U1"}}, "", ann},
		"by the id of the sender": {relay.Person{ID: relay.NumberID("12345")}, "backlog",
			with(ann, func(p *relay.Person) { p.ID = relay.NumberID("12345") })},
		"the id of another sender": {relay.Person{ID: relay.NumberID("12345")}, "bytebase", relay.Person{ID: relay.NumberID("12345")}},
		"the event's name stays": {relay.Person{Name: "Annie", Email: "ann@example.com"}, "",
			with(ann, func(p *relay.Person) { p.Name, p.Email = "Annie", "ann@example.com" })},
		"relay.yaml's id counts": {relay.Person{Email: "bob@example.com", IDs: map[string]string{"discord": "9", "slack": "U7"}}, "",
			relay.Person{Email: "bob@example.com", IDs: map[string]string{"discord": "803", "slack": "U7"}}},
		"nobody":   {relay.Person{Email: "cem@example.com"}, "", relay.Person{Email: "cem@example.com"}},
		"no key":   {relay.Person{Name: "Ann"}, "", relay.Person{Name: "Ann"}},
		"no email": {relay.Person{}, "", relay.Person{}},
	} {
		ids := len(c.in.IDs)
		if got := d.Complete(c.in, c.source); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
		if len(c.in.IDs) != ids {
			t.Errorf("%s: the event's own person was changed", name)
		}
	}
	if got := (*people.Directory)(nil).Complete(ann, ""); !reflect.DeepEqual(got, ann) {
		t.Errorf("without a directory: got %+v", got)
	}
}

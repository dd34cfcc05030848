package intake_test

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/store"
)

// TestCanonical: the event that is stored has its keys in one order, id, source,
// time and level filled in, and everything else as it came.
func TestCanonical(t *testing.T) {
	tests := []struct{ name, body, want string }{ // want: <id> is relay's own, <now> the time of arrival
		{"Least", `{"title":"t","type":"x"}`,
			`{"id":"<id>","type":"x","source":"events","time":"<now>","level":"info","title":"t"}`},
		{"Order", `{"data":{},"recipients":[],"issue":{},"project":{},"actor":{},"link":"https://a/b","description":"d","title":"t","level":"warn","time":"2026-11-21T08:00:00Z","source":"s","type":"x","id":"k"}`,
			`{"id":"k","type":"x","source":"s","time":"2026-11-21T08:00:00Z","level":"warn","title":"t","description":"d","link":"https://a/b","actor":{},"project":{},"issue":{},"recipients":[],"data":{}}`},
		{"White", " {\r\n\t\"type\" : \"x\" , \"title\" : \" t \" , \"data\" : { \"a b\" : [ 1 , { } , \"c  d\" ] } } ",
			`{"id":"<id>","type":"x","source":"events","time":"<now>","level":"info","title":" t ","data":{"a b":[1,{},"c  d"]}}`},
		{"NullsAndEmpties", `{"id":"","source":"","type":"x","title":"t","level":null,"time":null,"description":null,"link":"","actor":null,"data":null}`,
			`{"id":"<id>","type":"x","source":"events","time":"<now>","level":"info","title":"t","link":""}`},
		{"LevelAnyCase", event(`,"level":"WaRn"`),
			`{"id":"<id>","type":"issue.created","source":"events","time":"<now>","level":"warn","title":"t"}`},
		{"LevelEmpty", event(`,"level":""`),
			`{"id":"<id>","type":"issue.created","source":"events","time":"<now>","level":"info","title":"t"}`},
		{"TimeKept", event(`,"time":"2026-11-21T10:00:00.123456789+02:00"`),
			`{"id":"<id>","type":"issue.created","source":"events","time":"2026-11-21T10:00:00.123456789+02:00","level":"info","title":"t"}`},
		{"TimeEscaped", event(`,"time":"2026-11-21T08:00:00\u005a"`),
			`{"id":"<id>","type":"issue.created","source":"events","time":"2026-11-21T08:00:00Z","level":"info","title":"t"}`},
		{"EscapedKeys", `{"\u0074ype":"x","t\u0069tle":"t"}`,
			`{"id":"<id>","type":"x","source":"events","time":"<now>","level":"info","title":"t"}`},
		{"TextsAsTheyCame", event(`,"source":"a<b&\u003c","description":"\u4e2d中\/\ud83d\ude00\ud800\n\"\\"`),
			`{"id":"<id>","type":"issue.created","source":"a<b&\u003c","time":"<now>","level":"info","title":"t","description":"\u4e2d中\/\ud83d\ude00\ud800\n\"\\"}`},
		{"IdsAsTheyCame", event(`,"id":9007199254740993,"actor":{"id":"007"},"project":{"id":-1.50},"issue":{"id":18446744073709551617},"recipients":[{"id":"a","ids":{"slack":"U1"}}]`),
			`{"id":9007199254740993,"type":"issue.created","source":"events","time":"<now>","level":"info","title":"t","actor":{"id":"007"},"project":{"id":-1.50},"issue":{"id":18446744073709551617},"recipients":[{"id":"a","ids":{"slack":"U1"}}]}`},
		{"NumbersAsTheyCame", event(`,"data":{"big":1e400,"exact":9007199254740993,"zero":-0.0,"e":1E+2,"long":3.14159265358979323846264338327950288}`),
			`{"id":"<id>","type":"issue.created","source":"events","time":"<now>","level":"info","title":"t","data":{"big":1e400,"exact":9007199254740993,"zero":-0.0,"e":1E+2,"long":3.14159265358979323846264338327950288}}`},
		{"UnknownKeysInside", event(`,"actor":{"team":{"b":1,"a":2},"name":null},"issue":{"b":[],"a":1,"a":2},"data":{"z":1,"a":{"__proto__":1}}`),
			`{"id":"<id>","type":"issue.created","source":"events","time":"<now>","level":"info","title":"t","actor":{"team":{"b":1,"a":2},"name":null},"issue":{"b":[],"a":1,"a":2},"data":{"z":1,"a":{"__proto__":1}}}`},
		{"Hidden", `{"id":"k\u0000","type":"x","title":"a\u0000b\uE000c` + "\uE001d\uE000" + `","data":{"\u0000z":1,"a":"\\u0000\\\ue001","n":12.50,"中\ue0020":"\\\\u0000"}}`,
			`{"id":"k","type":"x","source":"events","time":"<now>","level":"info","title":"abcd","data":{"z":1,"a":"\\u0000\\","n":12.50,"中\ue0020":"\\\\u0000"}}`},
		{"HiddenAndWhite", `{ "type" : "x" , "title" : "a\u0000b" , "data" : { "a" : [ "` + "\uE000" + `" ] } }`,
			`{"id":"<id>","type":"x","source":"events","time":"<now>","level":"info","title":"ab","data":{"a":[""]}}`},
	}
	own := regexp.MustCompile(`"id":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"`)
	arrival := regexp.MustCompile(`"time":"` + time.Now().UTC().Format("2006-01-") + `\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDoor(t, store.Options{})
			id := d.post(test.body).one().ID
			e := d.stored(id)
			got := own.ReplaceAllStringFunc(string(e.Body), func(s string) string {
				if s != `"id":"`+id+`"` {
					t.Errorf("got %s in the body, want relay's own %s", s, id)
				}
				return `"id":"<id>"`
			})
			got = arrival.ReplaceAllString(got, `"time":"<now>"`)
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			var event relay.Event
			if err := json.Unmarshal(e.Body, &event); err != nil {
				t.Errorf("relay.Event: %v", err)
			}
			if event.Source != e.Source || e.Key != "" && event.ID.String() != e.Key {
				t.Errorf("stored with key %q and source %q", e.Key, e.Source)
			}
		})
	}
}

package intake_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/internal/problem"
	"github.com/relay-sidecar/relay/internal/store"
)

// nested is an event that nests so many levels deep.
func nested(levels int) string {
	n := levels - 2
	return event(`,"data":{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
}

func array(n int, one string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]"
}

// TestBadBodies: every body is refused with 400 and exactly these faults, and
// nothing of it is stored.
func TestBadBodies(t *testing.T) {
	const rfc3339 = "is not RFC 3339, such as 2026-11-21T08:00:00Z"
	long := func(n int) string { return strings.Repeat("k", n) }
	tests := []struct {
		name, body string
		faults     []string
	}{
		{"NoType", `{"title":"t"}`, []string{"$.type is required"}},
		{"NoTitle", `{"type":"x"}`, []string{"$.title is required"}},
		{"Nothing", `{}`, []string{"$.type is required", "$.title is required"}},
		{"Nulls", `{"type":null,"title":null,"data":null}`, []string{"$.type is required", "$.title is required"}},
		{"EmptyType", `{"type":"","title":"t"}`, []string{"$.type has 0 bytes; 1 to 200 are taken"}},
		{"EmptyTitle", `{"type":"x","title":""}`, []string{"$.title has 0 characters; 1 to 1000 are taken"}},
		{"TitleOfHidden", `{"type":"x","title":"\u0000\ue000"}`, []string{"$.title has 0 characters; 1 to 1000 are taken"}},
		{"WrongTypes", `{"id":true,"type":1,"source":[],"time":3,"level":{},"title":false,"description":1,"link":2,"actor":"a","project":1,"issue":[],"recipients":{},"data":"x"}`, []string{
			"$.id is neither a number nor a string", "$.type is not a string", "$.source is not a string", "$.level is not a string", "$.title is not a string",
			"$.time is not a string", "$.description is not a string", "$.link is not a string", "$.actor is not an object", "$.project is not an object",
			"$.issue is not an object", "$.recipients is not an array", "$.data is not an object"}},
		{"UnknownKeys", event(`,"text":"x","Title":"y"`), []string{"$.text is no key of an event; put it under data", "$.Title is no key of an event; put it under data"}},
		{"UnknownKeysWithOddNames", event(`,"a.b":1,"":2,"e\"\u000a":3,"中":4,"` + long(99) + `":5`), []string{
			`$["a.b"] is no key of an event; put it under data`, `$[""] is no key of an event; put it under data`,
			`$["e\"\n"] is no key of an event; put it under data`, `$["中"] is no key of an event; put it under data`,
			`$["` + long(60) + `…"] is no key of an event; put it under data`}},
		{"KeyTwice", `{"type":"x","title":"a","title":"b"}`, []string{"$.title stands twice"}},
		{"KeyTwiceEscaped", `{"type":"x","title":"a","t\u0069tle":"b"}`, []string{"$.title stands twice"}},
		{"KeyTwiceBesideHidden", `{"type":"x","title":"a\u0000","ti\u0000tle":"b"}`, []string{"$.title stands twice"}},
		{"NullTwice", event(`,"id":null,"id":1`), []string{"$.id stands twice"}},

		{"Level", event(`,"level":"fatal"`), []string{`$.level is "fatal"; write info, success, warn or error`}},
		{"LongLevel", event(`,"level":"中` + long(999) + `"`), []string{`$.level is "中` + long(57) + `…"; write info, success, warn or error`}},
		{"Time", event(`,"time":"2026-11-21 08:00:00"`), []string{`$.time "2026-11-21 08:00:00" ` + rfc3339}},
		{"TimeEmpty", event(`,"time":""`), []string{`$.time "" ` + rfc3339}},
		{"TimeWithoutZone", event(`,"time":"2026-11-21T08:00:00"`), []string{`$.time "2026-11-21T08:00:00" ` + rfc3339}},
		{"TimeOneDigitHour", event(`,"time":"2026-11-21T8:00:00Z"`), []string{`$.time "2026-11-21T8:00:00Z" ` + rfc3339}},
		{"TimeCommaFraction", event(`,"time":"2026-11-21T08:00:00,5Z"`), []string{`$.time "2026-11-21T08:00:00,5Z" ` + rfc3339}},
		{"TimeZone25", event(`,"time":"2026-11-21T08:00:00+25:00"`), []string{`$.time "2026-11-21T08:00:00+25:00" ` + rfc3339}},
		{"TimeFebruary30", event(`,"time":"2026-02-30T08:00:00Z"`), []string{`$.time "2026-02-30T08:00:00Z" ` + rfc3339}},
		{"LinkScheme", event(`,"link":"javascript:alert(1)"`), []string{"$.link is not an http or https URL"}},
		{"LinkRelative", event(`,"link":"/issues/1"`), []string{"$.link is not an http or https URL"}},
		{"LinkNoHost", event(`,"link":"https://:80/x"`), []string{"$.link is not an http or https URL"}},
		{"LinkControl", event(`,"link":"https://a/\n"`), []string{"$.link is not an http or https URL"}},

		{"Title1001", `{"type":"x","title":"` + long(1001) + `"}`, []string{"$.title has 1001 characters; 1 to 1000 are taken"}},
		{"Title1001Chinese", `{"type":"x","title":"` + strings.Repeat("中", 1001) + `"}`, []string{"$.title has 1001 characters; 1 to 1000 are taken"}},
		{"Title1001Emoji", `{"type":"x","title":"` + strings.Repeat(`\ud83d\ude00`, 1001) + `"}`, []string{"$.title has 1001 characters; 1 to 1000 are taken"}},
		{"Description", event(`,"description":"` + long(65537) + `"`), []string{"$.description has 65537 bytes, at most 65536 are taken"}},
		{"DescriptionChinese", event(`,"description":"` + strings.Repeat("中", 21846) + `"`), []string{"$.description has 65538 bytes, at most 65536 are taken"}},
		{"ID201", event(`,"id":"` + long(201) + `"`), []string{"$.id has 201 bytes, at most 200 are taken"}},
		{"IDNumber201", event(`,"id":` + strings.Repeat("1", 201)), []string{"$.id has 201 bytes, at most 200 are taken"}},
		{"Source201", event(`,"source":"` + long(201) + `"`), []string{"$.source has 201 bytes, at most 200 are taken"}},
		{"Type201", `{"type":"` + long(201) + `","title":"t"}`, []string{"$.type has 201 bytes; 1 to 200 are taken"}},
		{"Recipients101", event(`,"recipients":` + array(101, `{}`)), []string{"$.recipients has 101 recipients, at most 100 are taken"}},

		{"TypeSpace", `{"type":"a b","title":"t"}`, []string{`$.type "a b" has other characters than letters, digits and . _ - /`}},
		{"TypeChinese", `{"type":"中","title":"t"}`, []string{`$.type "中" has other characters than letters, digits and . _ - /`}},
		{"TypeEmptySegment", `{"type":"a..b","title":"t"}`, []string{`$.type "a..b" has an empty segment`}},
		{"TypeDots", `{"type":"..","title":"t"}`, []string{`$.type ".." has an empty segment`}},
		{"TypeDot", `{"type":"a/./b","title":"t"}`, []string{`$.type "a/./b" has an empty segment`}},
		{"TypeUp", `{"type":"../../etc/passwd","title":"t"}`, []string{`$.type "../../etc/passwd" has an empty segment`}},
		{"TypeSlashFirst", `{"type":"/a","title":"t"}`, []string{`$.type "/a" has an empty segment`}},
		{"TypeDotLast", `{"type":"a.","title":"t"}`, []string{`$.type "a." has an empty segment`}},
		{"TypeReserved", `{"type":"relay.test","title":"t"}`, []string{`$.type "relay.test" is relay's own: types that begin with relay. are refused`}},

		{"Actor", event(`,"actor":{"id":[],"name":1,"email":{},"phone":2,"ids":3}`), []string{"$.actor.id is neither a number nor a string", "$.actor.name is not a string",
			"$.actor.email is not a string", "$.actor.phone is not a string", "$.actor.ids is not an object"}},
		{"ActorInAnotherCase", event(`,"actor":{"Name":1,"ID":{},"Ids":[]}`), []string{"$.actor.Name is not a string", "$.actor.ID is neither a number nor a string", "$.actor.Ids is not an object"}},
		{"ActorIds", event(`,"actor":{"ids":{"slack":7}}`), []string{"$.actor.ids.slack is not a string"}},
		{"Project", event(`,"project":{"id":false,"name":[]}`), []string{"$.project.id is neither a number nor a string", "$.project.name is not a string"}},
		{"Issue", event(`,"issue":{"id":null,"status":1,"type":{},"description":2,"NAME":3}`), []string{"$.issue.status is not a string",
			"$.issue.type is not a string", "$.issue.description is not a string", "$.issue.NAME is not a string"}},
		{"Recipients", event(`,"recipients":[{"name":"a"},7,{"email":1},null]`), []string{"$.recipients[1] is not an object", "$.recipients[2].email is not a string", "$.recipients[3] is not an object"}},
		{"Depth65", nested(65), []string{"$ nests 65 levels deep, at most 64 are taken"}},
		{"Depth5000", nested(5000), []string{"$ nests 5000 levels deep, at most 64 are taken"}},

		{"Scalar", `7`, []string{"$ is neither an event nor an array of events"}},
		{"String", `"{}"`, []string{"$ is neither an event nor an array of events"}},
		{"Null", ` null `, []string{"$ is neither an event nor an array of events"}},
		{"ArrayEmpty", ` [ ] `, []string{"$ is empty; send at least one event"}},
		{"Array1001", array(1001, `{"type":"x","title":"t"}`), []string{"$ has 1001 events; send at most 1000 at once"}},
		{"ArrayOneBad", `[` + event("") + `,{"type":"x"},` + event("") + `]`, []string{"$[1].title is required"}},
		{"ArrayManyBad", `[` + event(`,"x":1`) + `,[],null,` + event(`,"recipients":[{"id":{}}]`) + `,` + nested(65) + `]`, []string{
			"$[0].x is no key of an event; put it under data", "$[1] is not an object", "$[2] is not an object",
			"$[3].recipients[0].id is neither a number nor a string", "$[4] nests 65 levels deep, at most 64 are taken"}},
	}
	d := newDoor(t, store.Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			p := d.post(test.body).refused(400, test.faults...)
			want := "nothing was accepted: " + test.faults[0]
			if n := len(test.faults); n > 1 {
				want = fmt.Sprintf("nothing was accepted: %d faults, the first is %s", n, test.faults[0])
			}
			if p.Detail != want {
				t.Errorf("got detail %q, want %q", p.Detail, want)
			}
			if d.rows() != 0 {
				t.Fatal("something is stored")
			}
		})
	}
}

// TestMalformed: what is no JSON has a place in bytes instead of a path.
func TestMalformed(t *testing.T) {
	tests := []struct{ name, body, detail string }{ // detail: how it begins
		{"Empty", ``, "malformed JSON at byte 0: "},
		{"White", " \n ", "malformed JSON at byte 3: "},
		{"Truncated", `{"type":"x","title":"t`, "malformed JSON at byte 22: "},
		{"TruncatedArray", `[{"type":"x","title":"t"}`, "malformed JSON at byte 25: "},
		{"Trailing", event("") + `x`, "malformed JSON at byte 37: "},
		{"TwoEvents", event("") + "\n" + event(""), "malformed JSON at byte 38: "},
		{"TrailingComma", `{"type":"x","title":"t",}`, "malformed JSON at byte 25: "},
		{"Comment", `{"type":"x","title":"t"/**/}`, "malformed JSON at byte 24: "},
		{"SingleQuotes", `{'type':'x'}`, "malformed JSON at byte 2: "},
		{"RawNUL", "{\"type\":\"x\",\"title\":\"a\x00b\"}", "malformed JSON at byte 23: "},
		{"RawNewline", "{\"type\":\"x\",\"title\":\"a\nb\"}", "malformed JSON at byte 23: "},
		{"NaN", event(`,"data":{"a":NaN}`), "malformed JSON at byte "},
		{"Form", `title=x&type=y`, "malformed JSON at byte "},
		{"ByteOrderMark", "\uFEFF" + event(""), "malformed JSON at byte 1: a byte order mark; send the JSON without it"},
		{"UTF16", "{\x00\"\x00", "malformed JSON at byte 2: "},
		{"InvalidUTF8", "{\"type\":\"x\",\"title\":\"a\xffb\"}", "the body is not UTF-8"},
		{"CutUTF8", "{\"type\":\"x\",\"title\":\"\xe4\xb8\"}", "the body is not UTF-8"},
		{"Surrogate", "{\"type\":\"x\",\"title\":\"\xed\xa0\x80\"}", "the body is not UTF-8"},
		{"Depth100000", strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000), "malformed JSON at byte "},
	}
	d := newDoor(t, store.Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			if p := d.post(test.body).refused(400); !strings.HasPrefix(p.Detail, test.detail) {
				t.Errorf("got %q, want %q…", p.Detail, test.detail)
			}
			if d.rows() != 0 {
				t.Fatal("something is stored")
			}
		})
	}
}

// TestManyFaults: an answer stays readable, and says how many there are.
func TestManyFaults(t *testing.T) {
	d := newDoor(t, store.Options{})
	got := d.post(array(1000, `{}`))
	var p problem.Problem
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Fatal(err)
	}
	want := "nothing was accepted: 2000 faults, of which 50 are listed; the first is $[0].type is required"
	if got.status != 400 || len(p.Errors) != 50 || p.Detail != want {
		t.Errorf("answered %d with %d faults, %q", got.status, len(p.Errors), p.Detail)
	}
}

// TestAtTheLimit: the last good size of everything.
func TestAtTheLimit(t *testing.T) {
	long := func(n int) string { return strings.Repeat("k", n) }
	tests := []struct{ name, body string }{
		{"Title1", `{"type":"x","title":"中"}`},
		{"Title1000", `{"type":"x","title":"` + long(1000) + `"}`},
		{"Title1000Chinese", `{"type":"x","title":"` + strings.Repeat("中", 1000) + `"}`},
		{"Title1000Emoji", `{"type":"x","title":"` + strings.Repeat("😀", 1000) + `"}`},
		{"Title1000EscapedEmoji", `{"type":"x","title":"` + strings.Repeat(`\ud83d\ude00`, 1000) + `"}`},
		{"Title1000AndHidden", `{"type":"x","title":"\u0000` + long(1000) + "\uE000" + `"}`},
		{"Description64KiB", event(`,"description":"` + long(65536) + `"`)},
		{"Description64KiBEscaped", event(`,"description":"` + strings.Repeat(`\n`, 65536) + `"`)},
		{"ID200", event(`,"id":"` + long(200) + `"`)},
		{"IDNumber200", event(`,"id":` + strings.Repeat("1", 200))},
		{"Source200", event(`,"source":"` + long(200) + `"`)},
		{"Type200", `{"type":"` + strings.Repeat("x", 200) + `","title":"t"}`},
		{"TypeGrammar", `{"type":"x.a_B-9/y.relay.z","title":"t"}`},
		{"TypeNearlyReserved", `{"type":"xrelay.test","title":"t"}`},
		{"Recipients100", event(`,"recipients":` + array(100, `{"ids":{"slack":null}}`))},
		{"RecipientsNone", event(`,"recipients":[]`)},
		{"Depth64", nested(64)},
		{"LinkPort", event(`,"link":"HTTP://[::1]:80/a?b#c"`)},
		{"LinkEmpty", event(`,"link":""`)},
		{"NullsInside", event(`,"actor":{"id":null,"name":null,"ids":null},"project":{"name":null},"issue":{"status":null}`)},
		{"White", " \t\r\n" + event("") + "\n"},
	}
	d := newDoor(t, store.Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			if got := d.post(test.body).one(); got.Deliveries != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Run("Array1000", func(t *testing.T) {
		d.TB = t
		if got := d.post(array(1000, event(""))).many(); len(got) != 1000 {
			t.Errorf("got %d answers", len(got))
		}
	})
	t.Run("ArrayDepth65", func(t *testing.T) { // an event's own object is the first level
		d.TB = t
		d.post("[" + nested(64) + "]").many()
	})
}

package intake_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay/internal/intake"
	"github.com/relay-sidecar/relay/internal/store"
)

const (
	structured = "Content-Type: application/cloudevents+json; charset=utf-8"
	batched    = "Content-Type: application/cloudevents-batch+json"
)

// ce is a CloudEvent with further members.
func ce(more string) string {
	return `{"specversion":"1.0","id":"k","source":"/s","type":"order.placed","time":"2026-11-21T08:00:00Z"` + more + `}`
}

// TestCloudEvents: what comes out of each of them, as the event that is stored.
func TestCloudEvents(t *testing.T) {
	const before = `{"id":"k","type":"order.placed","source":"/s","time":"2026-11-21T08:00:00Z","level":"info","title":`
	tests := []struct{ name, body, want string }{
		{"Fields", ce(`,"subject":"s1","data":{"title":"T","level":"WARN","description":"**d**","link":"https://a/b","actor":{"id":1,"name":"Ann"},"project":{"name":"p"},"issue":{"id":7},"recipients":[{"email":"b@c"}],"more":[1]}`),
			`{"id":"k","type":"order.placed","source":"/s","time":"2026-11-21T08:00:00Z","level":"warn","title":"T","description":"**d**","link":"https://a/b","actor":{"id":1,"name":"Ann"},"project":{"name":"p"},"issue":{"id":7},"recipients":[{"email":"b@c"}],"data":{"subject":"s1","more":[1]}}`},
		{"TitleIsTheSubject", ce(`,"subject":"order 7"`), before + `"order 7","data":{"subject":"order 7"}}`},
		{"TitleIsTheType", ce(``), before + `"order.placed"}`},
		{"AttributesWin", ce(`,"data":{"id":"other","source":"/s","type":"t","time":"x","title":"T"}`), before + `"T","data":{"id":"other","type":"t","time":"x"}}`},
		{"WrongTypesStayInData", ce(`,"data":{"title":7,"level":"fatal","link":"nowhere","actor":"Ann","project":{"name":1},"issue":[],"recipients":{},"description":false,"data":[1]}`),
			before + `"order.placed","data":{"title":7,"level":"fatal","link":"nowhere","actor":"Ann","project":{"name":1},"issue":[],"recipients":{},"description":false,"data":[1]}}`},
		{"DataOfData", ce(`,"data":{"title":"T","data":{"a":1,"b":2},"b":3}`), before + `"T","data":{"b":3,"a":1}}`},
		{"NoObject", ce(`,"data":[1,2]`), before + `"order.placed","data":{"value":[1,2]}}`},
		{"Null", ce(`,"data":null,"subject":null,"ext":null`), before + `"order.placed"}`},
		{"Text", ce(`,"datacontenttype":"text/xml","data":"<a/>"`), before + `"order.placed","data":{"datacontenttype":"text/xml","value":"<a/>"}}`},
		{"Base64", ce(`,"datacontenttype":"image/png","data_base64":"iVBORw=="`), before + `"order.placed","data":{"datacontenttype":"image/png","data_base64":"iVBORw=="}}`},
		{"Base64OfJSON", ce(`,"datacontenttype":"application/json","data_base64":"eyJ0aXRsZSI6IlQifQ=="`), before + `"T"}`},
		{"Extensions", ce(`,"dataschema":"https://x/y","ext":5,"flag":true,"data":{"ext":"mine","title":"T"}`), before + `"T","data":{"dataschema":"https://x/y","ext":5,"flag":true}}`},
		{"Type", strings.Replace(ce(``), "order.placed", "/com..example:order placed.", 1),
			`{"id":"k","type":"_/com._.example_order_placed._","source":"/s","time":"2026-11-21T08:00:00Z","level":"info","title":"/com..example:order placed.","data":{"ce_type":"/com..example:order placed."}}`},
		{"LongSubject", ce(`,"subject":"` + strings.Repeat("中", 1001) + `"`), before + `"` + strings.Repeat("中", 1000) + `","data":{"subject":"` + strings.Repeat("中", 1001) + `"}}`},
		{"Hidden", ce(`,"subject":"a\u0000b","data":{"x":"\ue000"}`), before + `"ab","data":{"subject":"ab","x":""}}`},
	}
	d := newDoor(t, store.Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			own := strings.NewReplacer(`"id":"k"`, `"id":"`+test.name+`"`) // one store for all
			body, want := own.Replace(test.body), own.Replace(test.want)
			if e := d.stored(d.post(body, structured).one().ID); string(e.Body) != want || e.Key != test.name || e.Source != "/s" {
				t.Errorf("got  %s\nwant %s", e.Body, want)
			}
		})
	}
}

func TestCloudEventsBatch(t *testing.T) {
	d := newDoor(t, store.Options{})
	if got := d.post("[]", batched); got.status != 202 || got.body != "[]\n" {
		t.Errorf("an empty batch is answered %d %s", got.status, got.body)
	}
	two := "[" + ce("") + "," + strings.Replace(ce(""), `"k"`, `"k2"`, 1) + "]"
	if got := d.post(two, batched).many(); len(got) != 2 || got[0].Duplicate {
		t.Errorf("got %+v", got)
	}
	if got := d.post(two, batched).many(); len(got) != 2 || !got[0].Duplicate || !got[1].Duplicate {
		t.Errorf("got %+v", got)
	}
	d.post("["+ce("")+`,{"specversion":"0.3","id":"k3","source":"/s","type":"t"},7]`, batched).refused(400,
		`$[1].specversion is "0.3"; relay takes 1.0`, "$[2] is not an object")
	d.post(ce(""), batched).refused(400, "$ is no batch: it is not an array of CloudEvents")
	d.post(array(1001, ce("")), batched).refused(400, "$ has 1001 events; send at most 1000 at once")
	d.post("["+ce("")+"]", structured).refused(400, "$ is not an object")
}

func TestCloudEventsBinary(t *testing.T) {
	d := newDoor(t, store.Options{})
	head := []string{"ce-specversion: 1.0", "ce-id: k", "ce-source: /s", "ce-type: order.placed", "ce-time: 2026-11-21T08:00:00Z"}
	const before = `{"id":"k","type":"order.placed","source":"/s","time":"2026-11-21T08:00:00Z","level":"info","title":`
	tests := []struct {
		name, kind, body, header, want string
	}{
		{"JSON", "application/json", `{"title":"T","a":1}`, "", before + `"T","data":{"a":1}}`},
		{"Suffix", "application/vnd.x+json", `[1]`, "", before + `"order.placed","data":{"value":[1]}}`},
		{"NoKindJSON", "", `{"title":"T"}`, "", before + `"T"}`},
		{"NoKindText", "", `hello`, "", before + `"order.placed","data":{"value":"hello"}}`},
		{"NoBody", "", ``, "", before + `"order.placed"}`},
		{"Text", "text/plain", "a\nb", "", before + `"order.placed","data":{"datacontenttype":"text/plain","value":"a\nb"}}`},
		{"Bytes", "image/png", "\x89PNG", "", before + `"order.placed","data":{"datacontenttype":"image/png","data_base64":"iVBORw=="}}`},
		{"Encoded", "", ``, "ce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80", before + `"Euro € 😀","data":{"subject":"Euro € 😀"}}`},
		{"EncodedOnce", "", ``, "ce-subject: 50%2525", before + `"50%25","data":{"subject":"50%25"}}`},
		{"Raw", "", ``, "ce-subject: Euro € 100%", before + `"Euro € 100%","data":{"subject":"Euro € 100%"}}`},
		{"Quoted", "", ``, `ce-subject: "a \"b\" \\"`, before + `"a \"b\" \\","data":{"subject":"a \"b\" \\"}}`},
		{"Extension", "", ``, "ce-myext: 5", before + `"order.placed","data":{"myext":"5"}}`},
		{"NoDataContentTypeHeader", "", ``, "ce-datacontenttype: text/xml", before + `"order.placed"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			got := d.post(test.body, append(head, "Content-Type: "+test.kind, test.header, "ce-id: "+test.name)...)
			want := strings.Replace(test.want, `"id":"k"`, `"id":"`+test.name+`"`, 1)
			if e := d.stored(got.one().ID); string(e.Body) != want {
				t.Errorf("got  %s\nwant %s", e.Body, want)
			}
		})
	}
	d.TB = t
	stored := d.rows()
	bad := func(body string, headers ...string) answer { return d.post(body, append(head, headers...)...) }
	bad("", "ce-subject: %FF").refused(400, "$.subject the ce-subject header is not UTF-8")
	bad("{", "Content-Type: application/json").refused(400)
	d.post("", "ce-specversion: 1.0", "ce-id: %FF", "ce-source: /s", "ce-subject: %FF", "ce-time: x").refused(400, "$.id the ce-id header is not UTF-8",
		"$.subject the ce-subject header is not UTF-8", "$.type is required", `$.time "x" is not RFC 3339, such as 2026-11-21T08:00:00Z`)
	if p := bad("{}", "Content-Type: application/json; charset=latin1").refused(http.StatusUnsupportedMediaType); p.Detail != `charset "latin1" is not taken; JSON is UTF-8` {
		t.Errorf("got %q", p.Detail)
	}
	bad("", "ce-id: ").refused(400, "$.id is required")
	bad("", "ce-type: relay.test").refused(400, `$.type "relay.test" is relay's own: types that begin with relay. are refused`)
	if d.rows() != stored {
		t.Error("something is stored")
	}
}

// TestBadCloudEvents: every fault at once, nothing stored.
func TestBadCloudEvents(t *testing.T) {
	tests := []struct {
		name, body string
		faults     []string
	}{
		{"Nothing", `{}`, []string{"$.specversion is required", "$.id is required", "$.source is required", "$.type is required"}},
		{"Empty", `{"specversion":"1.0","id":"","source":"","type":""}`, []string{"$.id is required", "$.source is required", "$.type is required"}},
		{"WrongTypes", `{"specversion":1.0,"id":7,"source":{},"type":[],"subject":1,"time":2}`, []string{"$.specversion is not a string",
			"$.id is not a string", "$.source is not a string", "$.type is not a string", "$.subject is not a string", "$.time is not a string"}},
		{"EmptyAndBad", `{"specversion":"1.0","id":"","source":"/s","type":"relay.x","time":"x"}`, []string{"$.id is required",
			`$.type "relay.x" is relay's own: types that begin with relay. are refused`, `$.time "x" is not RFC 3339, such as 2026-11-21T08:00:00Z`}},
		{"WrongTypeAndBad", strings.Replace(ce(`,"subject":5`), "2026-11-21T08:00:00Z", "x", 1), []string{"$.subject is not a string",
			`$.time "x" is not RFC 3339, such as 2026-11-21T08:00:00Z`}},
		{"NoTypeAndLong", `{"id":"` + strings.Repeat("k", 201) + `","source":"/s"}`, []string{"$.specversion is required", "$.type is required",
			"$.id has 201 bytes, at most 200 are taken"}},
		{"DeepAndBad", `{"data":{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `},"specversion":"1.0","id":"","source":"/s","type":"t"}`, []string{
			"$.id is required", "$ nests 72 levels deep, at most 64 are taken"}},
		{"Twice", ce(`,"id":"other","ext":1,"ext":null`), []string{"$.id stands twice", "$.ext stands twice"}},
		{"Time", strings.Replace(ce(""), "T08:00:00Z", "", 1), []string{`$.time "2026-11-21" is not RFC 3339, such as 2026-11-21T08:00:00Z`}},
		{"TwoData", ce(`,"data":1,"data_base64":"AA=="`), []string{"$.data_base64 stands beside data"}},
		{"NoBase64", ce(`,"data_base64":"???"`), []string{"$.data_base64 is not base64"}},
		{"Long", strings.Replace(ce(""), `"k"`, `"`+strings.Repeat("k", 201)+`"`, 1), []string{"$.id has 201 bytes, at most 200 are taken"}},
		{"Deep", ce(`,"data":{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`), []string{"$ nests 72 levels deep, at most 64 are taken"}},
	}
	d := newDoor(t, store.Options{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d.TB = t
			d.post(test.body, structured).refused(400, test.faults...)
		})
	}
	if d.TB = t; d.rows() != 0 {
		t.Error("something is stored")
	}
}

// FuzzCloudEvent: whatever comes as a CloudEvent is refused with words or
// becomes an event that is canonical like any other.
func FuzzCloudEvent(f *testing.F) {
	f.Add([]byte(ce(`,"subject":"s","ext":{"a":[1]},"data":{"title":"T","data":{"b":2},"actor":{"name":7},"recipients":[{}]}`)), "")
	f.Add([]byte(ce(`,"datacontenttype":"text/plain","data_base64":"AA=="`)), "x")
	f.Add([]byte(`{"specversion":"1.0","type":"..\u0000/","id":"\ud800","source":" ","data":{"id":{},"type":null}}`), "%e2%82%ac")
	f.Add([]byte(`{"title":"T"}`), `"a\"`)
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		for _, h := range []http.Header{
			{"Content-Type": {"application/cloudevents+json"}},
			{"Content-Type": {"application/cloudevents-batch+json"}},
			{"Ce-Specversion": {"1.0"}, "Ce-Id": {"k"}, "Ce-Source": {"/s"}, "Ce-Type": {"t" + header}, "Ce-Subject": {header}, "Content-Type": {"application/json"}},
			{"Ce-Specversion": {"1.0"}, "Ce-Id": {"k" + header}, "Ce-Source": {"/s"}, "Ce-Type": {"t"}, "Content-Type": {header}},
		} {
			events, err := intake.DecodeCloudEventsForTest(h, body, now)
			if err != nil {
				if err.Error() == "" {
					t.Fatal("a refusal without words")
				}
				continue
			}
			for _, e := range events {
				checkCanonical(t, e, now)
			}
		}
	})
}

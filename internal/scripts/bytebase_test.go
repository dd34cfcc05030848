package scripts_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/render"
)

// documentsBody is the example of the documents, as it stands there.
const documentsBody = `{"level":"INFO","activity_type":"bb.issue.created","title":"example webhook","description":"example description","link":"example link","creator_id":1,"creator_name":"Bytebase","created_ts":1651212107,"issue":{"id":1,"name":"example issue","status":"OPEN","type":"bb.issue.database.create"},"project":{"id":1,"name":"demo"}}`

func bytebase(t testing.TB) *render.Template {
	t.Helper()
	template, err := render.New(*builtIn(t).Source("bytebase"))
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func request(body string) json.RawMessage {
	raw, _ := json.Marshal(map[string]any{"headers": map[string]string{"content-type": "application/json"}, "query": map[string]string{}, "body": body, "settings": map[string]any{}})
	return raw
}

var now = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

func convert(t *testing.T, template *render.Template, body string) string {
	t.Helper()
	events, reason, fault := template.Convert(context.Background(), request(body), now)
	if fault != nil || reason != "" {
		t.Fatalf("Convert(%s): reason %q, fault %v", body, reason, fault)
	}
	return string(events)
}

func TestBytebaseDocumentsExample(t *testing.T) {
	sum := sha256.Sum256([]byte(documentsBody))
	want := `[{"id":"` + hex.EncodeToString(sum[:]) + `","type":"issue.created","level":"info","title":"example webhook",` +
		`"description":"example description","time":"2022-04-29T06:01:47.000Z","actor":{"id":1,"name":"Bytebase"},` +
		`"issue":{"id":1,"name":"example issue","status":"OPEN","type":"bb.issue.database.create"},` +
		`"project":{"id":1,"name":"demo"},"data":{"link":"example link"}}]`
	if got := convert(t, bytebase(t), documentsBody); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestBytebaseTypes(t *testing.T) {
	template := bytebase(t)
	for activity, want := range map[string]string{
		"bb.issue.create": "issue.created", "bb.issue.created": "issue.created", "bb.webhook.event.issue.create": "issue.created", "ISSUE_CREATE": "issue.created", "ISSUE_CREATED": "issue.created",
		"bb.issue.comment.create": "issue.comment_created", "bb.webhook.event.issue.comment.create": "issue.comment_created", "ISSUE_COMMENT_CREATE": "issue.comment_created",
		"bb.issue.field.update": "issue.updated", "bb.webhook.event.issue.update": "issue.updated", "ISSUE_FIELD_UPDATE": "issue.updated",
		"bb.issue.status.update": "issue.status_changed", "bb.webhook.event.issue.status.update": "issue.status_changed", "ISSUE_STATUS_UPDATE": "issue.status_changed",
		"bb.pipeline.stage.status.update": "stage.status_changed", "bb.webhook.event.stage.status.update": "stage.status_changed", "ISSUE_PIPELINE_STAGE_STATUS_UPDATE": "stage.status_changed",
		"bb.issue.approval.notify": "issue.approval_requested", "bb.webhook.event.issue.approval.create": "issue.approval_requested", "ISSUE_APPROVAL_NOTIFY": "issue.approval_requested", "ISSUE_APPROVAL_REQUESTED": "issue.approval_requested",
		"bb.pipeline.task.status.update": "task.status_changed", "bb.pipeline.taskrun.status.update": "task.status_changed", "bb.webhook.event.taskRun.status.update": "task.status_changed", "ISSUE_PIPELINE_TASK_RUN_STATUS_UPDATE": "task.status_changed",
		"bb.notify.issue.approved": "issue.approved", "bb.webhook.event.issue.approval.pass": "issue.approved", "NOTIFY_ISSUE_APPROVED": "issue.approved", "ISSUE_APPROVED": "issue.approved",
		"bb.notify.pipeline.rollout": "issue.rollout_requested", "bb.webhook.event.issue.rollout.ready": "issue.rollout_requested", "NOTIFY_PIPELINE_ROLLOUT": "issue.rollout_requested",
		"ISSUE_SENT_BACK": "issue.sent_back", "PIPELINE_FAILED": "pipeline.failed", "PIPELINE_COMPLETED": "pipeline.completed",
		// Unknown ones keep their word, as far as a type may hold it.
		"bb.something.new": "bb.something.new", "weird type/..//x!": "weird_type/x_", "relay.test": "bytebase.relay.test", "": "bytebase.event", "..": "bytebase.event",
		strings.Repeat("x", 300): strings.Repeat("x", 190), "constructor": "constructor", "__proto__": "__proto__",
	} {
		body, _ := json.Marshal(map[string]any{"activity_type": activity, "title": "t"})
		var events []relay.Event
		if err := json.Unmarshal([]byte(convert(t, template, string(body))), &events); err != nil {
			t.Fatal(err)
		}
		if events[0].Type != want {
			t.Errorf("activity %q became %q, want %q", activity, events[0].Type, want)
		}
		if kept := string(events[0].Data["activity_type"]); (want == activity || relayWord(want)) != (kept == "") && activity != "" {
			t.Errorf("activity %q became %q, data.activity_type is %s", activity, want, kept)
		}
	}
}

func relayWord(eventType string) bool {
	for _, known := range relay.Catalogue() {
		if known == eventType {
			return true
		}
	}
	return false
}

func TestBytebaseShapes(t *testing.T) {
	template := bytebase(t)
	tests := []struct{ name, body, want string }{ // want: without id
		{"NewProject", `{"activity_type":"ISSUE_SENT_BACK","level":"WARN","title":"t","project":{"name":"projects/x","title":"X shop"},"issue":null}`,
			`"type":"issue.sent_back","level":"warn","title":"t","project":{"id":"projects/x","name":"X shop"}`},
		{"Link", `{"activity_type":"PIPELINE_FAILED","level":"error","title":"t","link":"https://bb.example.com/x"}`,
			`"type":"pipeline.failed","level":"error","title":"t","link":"https://bb.example.com/x"`},
		{"BadLevelAndTime", `{"activity_type":"PIPELINE_FAILED","level":"FATAL","title":"t","created_ts":"soon"}`,
			`"type":"pipeline.failed","level":"info","title":"t","data":{"level":"FATAL","created_ts":"soon"}`},
		{"Unknown", `{"activity_type":"ISSUE_CREATED","title":"t","more":{"a":[1]},"issue":{"id":7,"extra":true},"project":{"id":"p","state":"ACTIVE"}}`,
			`"type":"issue.created","level":"info","title":"t","issue":{"id":7},"project":{"id":"p"},"data":{"more":{"a":[1]},"issue":{"extra":true},"project":{"state":"ACTIVE"}}`},
		{"BigIds", `{"activity_type":"ISSUE_CREATED","title":"t","creator_id":9007199254740993}`,
			`"type":"issue.created","level":"info","title":"t","actor":{"id":"9007199254740993"}`},
		{"WrongTypes", `{"activity_type":"ISSUE_CREATED","title":7,"description":["x"],"issue":"text","project":[1],"creator_name":{"a":1}}`,
			`"type":"issue.created","level":"info","title":"7","data":{"issue":"text","project":[1]}`},
		{"NoTitle", `{"activity_type":"ISSUE_CREATED","issue":{"name":"add index"}}`,
			`"type":"issue.created","level":"info","title":"add index","issue":{"name":"add index"}`},
	}
	id := regexp.MustCompile(`"id":"[0-9a-f]{64}",`)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := convert(t, template, test.body)
			if got = id.ReplaceAllString(got, ""); got != "[{"+test.want+"}]" {
				t.Errorf("got  %s\nwant [{%s}]", got, test.want)
			}
		})
	}
}

func TestBytebaseRefusesWhatIsNoObject(t *testing.T) {
	template := bytebase(t)
	for _, body := range []string{"", "ok", "[]", "null", `{"a":`, strings.Repeat("[", 1000)} {
		_, _, fault := template.Convert(context.Background(), request(body), now)
		if fault == nil || fault.File != "sources/bytebase.ts" || fault.Line == 0 || !strings.Contains(fault.Message, "the body") {
			t.Errorf("body %q: fault %v, want one about the body, at its place", body, fault)
		}
	}
}

func TestBytebaseAnswer(t *testing.T) {
	template := bytebase(t)
	tests := []struct {
		result, want string
		status       int
	}{
		{`{"status":202,"events":[{"id":"0199","deliveries":2,"duplicate":false}]}`, `{"code":0,"message":""}`, 200},
		{`{"status":202,"events":[]}`, `{"code":0,"message":""}`, 200},
		{`{"status":429,"error":"too many unfinished deliveries"}`, `{"code":429,"message":"too many unfinished deliveries"}`, 429},
		{`{"status":503}`, `{"code":503,"message":""}`, 503},
	}
	for _, test := range tests {
		reply, fault := template.Answer(context.Background(), json.RawMessage(test.result), now)
		if fault != nil {
			t.Fatal(fault)
		}
		if got := string(reply.Body); got != test.want || reply.Status != test.status || !reply.Custom || reply.ContentType != "application/json" {
			t.Errorf("Answer(%s) = %+v %s, want %d %s", test.result, reply, got, test.status, test.want)
		}
	}
}

// FuzzBytebase: whatever a sender sends becomes events or a fault with words,
// never a panic and never JSON that relay cannot read.
func FuzzBytebase(f *testing.F) {
	f.Add(documentsBody)
	f.Add(`{"activity_type":"x/../y","created_ts":1e300,"link":"http://","issue":{"id":{}},"project":{"title":1}}`)
	f.Add(`{"__proto__":{"a":1},"title":"\ud800\u0000","level":null,"creator_id":-0,"created_ts":-1}`)
	template := bytebase(f)
	typeGrammar := regexp.MustCompile(`^[A-Za-z0-9._/-]{1,200}$`)
	f.Fuzz(func(t *testing.T, body string) {
		events, _, fault := template.Convert(context.Background(), request(body), now)
		if fault != nil {
			if fault.Message == "" || strings.Contains(fault.Message, "engine failed") {
				t.Fatalf("fault %v", fault)
			}
			return
		}
		var decoded []relay.Event
		if err := json.Unmarshal(events, &decoded); err != nil {
			t.Fatalf("%v in %s", err, events)
		}
		if len(decoded) != 1 || decoded[0].Title == "" || !typeGrammar.MatchString(decoded[0].Type) || strings.HasPrefix(decoded[0].Type, relay.ReservedTypes) {
			t.Fatalf("events %s", events)
		}
	})
}

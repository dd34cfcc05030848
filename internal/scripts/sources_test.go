package scripts_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/render"
	"github.com/relay-sidecar/relay/templates"
)

// source is a source script that ships.
type source struct {
	testing.TB
	*render.Template
	settings map[string]any
	headers  map[string]string
}

func newSource(t testing.TB, name string) *source {
	t.Helper()
	template, err := render.New(*builtIn(t).Source(name))
	if err != nil {
		t.Fatal(err)
	}
	return &source{TB: t, Template: template, settings: map[string]any{}, headers: map[string]string{}}
}

func (s *source) request(body, query string) json.RawMessage {
	raw, _ := json.Marshal(map[string]any{"headers": s.headers, "query": map[string]string{"type": query}, "body": body, "settings": s.settings})
	return raw
}

// one converts a body that makes one event.
func (s *source) one(body string) relay.Event {
	s.Helper()
	events, reason, fault := s.Convert(context.Background(), s.request(body, ""), now)
	var all []relay.Event
	if fault != nil || reason != "" || json.Unmarshal(events, &all) != nil || len(all) != 1 {
		s.Fatalf("%s became %s, %q, %v; want one event", body, events, reason, fault)
	}
	return all[0]
}

func (s *source) skips(body, want string) {
	s.Helper()
	if events, reason, fault := s.Convert(context.Background(), s.request(body, ""), now); fault != nil || reason != want || string(events) != "[]" {
		s.Errorf("%s became %s, %q, %v; want it skipped: %s", body, events, reason, fault, want)
	}
}

// table is the rows of the table under a heading of docs/sources.md, but for
// its head.
func table(t *testing.T, heading, head string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, rows, found := strings.Cut(section, "\n"+head+"\n")
	if !ok || !found {
		t.Fatalf("docs/sources.md has no table %q under %q", head, heading)
	}
	var all [][]string
	for _, line := range strings.Split(rows, "\n")[1:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		all = append(all, cells)
	}
	return all
}

var quoted = regexp.MustCompile("`([^`]+)`")

// TestDocumentedBytebaseTypes walks the table of docs/sources.md, which names
// every activity that the script knows.
func TestDocumentedBytebaseTypes(t *testing.T) {
	bytebase := newSource(t, "bytebase")
	walked := 0
	for _, row := range table(t, "Bytebase", "| activity_type | event |") {
		for _, activity := range quoted.FindAllStringSubmatch(row[0], -1) {
			walked++
			got := bytebase.one(fmt.Sprintf(`{"activity_type":%q,"title":"t"}`, activity[1]))
			if want := quoted.FindStringSubmatch(row[1])[1]; got.Type != want || !slices.Contains(relay.Catalogue(), want) {
				t.Errorf("%s became %s, documented is %s", activity[1], got.Type, want)
			}
		}
	}
	script, err := os.ReadFile("../../templates/sources/bytebase.ts")
	if err != nil {
		t.Fatal(err)
	}
	if known := len(regexp.MustCompile(`(?m)^  "[^"]+": "[^"]+",$`).FindAll(script, -1)); walked != known || known < 30 {
		t.Errorf("the table has %d activities, the script knows %d", walked, known)
	}
}

// TestDocumentedBacklogTypes walks the table of docs/sources.md.
func TestDocumentedBacklogTypes(t *testing.T) {
	backlog := newSource(t, "backlog")
	seen := map[string]bool{}
	for _, row := range table(t, "Backlog", "| type | what happened | event |") {
		number, name := row[0], quoted.FindStringSubmatch(row[2])[1]
		if number == "any other" {
			number, name = "99", "backlog.type_99"
		}
		seen[number] = true
		got := backlog.one(fmt.Sprintf(`{"id":7,"type":%s,"project":{"projectKey":"P"},"content":{"key_id":1,"summary":"s","name":"n","title":"t"}}`, number))
		if got.Type != name {
			t.Errorf("%s became %s, documented is %s", number, got.Type, name)
		}
	}
	for n := 1; n <= 26; n++ {
		if !seen[fmt.Sprint(n)] {
			t.Errorf("type %d is not documented", n)
		}
	}
}

// TestDocumentedNamesShip: the documents name every source, and only those.
func TestDocumentedNamesShip(t *testing.T) {
	text, err := os.ReadFile("../../docs/sources.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile("(?m)^\\| \\[`([a-z]+)`\\]").FindAllStringSubmatch(string(text), -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	if got := templates.Sources(); !slices.Equal(got, named) {
		t.Errorf("%v ship, %v are documented", got, named)
	}
}

func TestBacklog(t *testing.T) {
	backlog := newSource(t, "backlog")
	body := func(kind, content, more string) string {
		return `{"id":"10","type":` + kind + `,"created":"2022-06-09T03:44:19Z","project":{"id":1,"projectKey":"DEMO","name":"Demo","archived":"false"` + more + `},"content":` + content +
			`,"notifications":[{"user":{"id":"2","name":"Bob"}},{"user":{"id":3,"name":"Cem"}},null,{"user":null}],"createdUser":{"id":1,"name":"Ann","mailAddress":null}}`
	}
	// Loose typing: ids as text, the text null, a status by its number.
	e := backlog.one(body(`"2"`, `{"id":"5","key_id":"12","summary":"s <b>","description":"null","assignee":{"id":2,"name":"Bob"},"comment":{"id":"7","content":"*no* markdown"},
		"changes":[{"field":"status","old_value":"1","new_value":"4"},{"field":"limitDate","field_text":"Due","old_value":"","new_value":"null"}]}`, ``))
	if e.ID.String() != "10" || e.Type != "issue.status_changed" || e.Level != relay.LevelSuccess || e.Title != "DEMO-12 s <b>" ||
		e.Issue.ID.String() != "DEMO-12" || e.Issue.Status != "Closed" || e.Link != "" || !e.Time.Equal(time.Date(2022, 6, 9, 3, 44, 19, 0, time.UTC)) {
		t.Errorf("got %+v %+v", e, e.Issue)
	}
	if want := "- **status**: Open → Closed\n- **Due**: – → –\n\n\\*no\\* markdown"; e.Description != want {
		t.Errorf("got description %q, want %q", e.Description, want)
	}
	var who []string
	for _, p := range e.Recipients {
		who = append(who, p.ID.String()+" "+p.Name)
	}
	if want := []string{"2 Bob", "3 Cem"}; !slices.Equal(who, want) {
		t.Errorf("got recipients %q, want %q", who, want)
	}
	// Whoever did it needs no message about it.
	if e := backlog.one(strings.ReplaceAll(body("1", `{"key_id":1,"assignee":{"id":"1","name":"Ann"}}`, ""), `"notifications":[{`, `"x":[{`)); len(e.Recipients) != 0 {
		t.Errorf("got recipients %+v", e.Recipients)
	}
	backlog.settings["space_url"] = "https://acme.backlog.com/"
	for content, want := range map[string]string{
		`3 {"key_id":12,"comment":{"id":7}}`:                             "/view/DEMO-12#comment-7",
		`20 {"number":3,"repository":{"name":"a b"},"comment":{"id":9}}`: "/git/DEMO/a%20b/pullRequests/3#comment-9",
		`5 {"id":44}`:      "/alias/wiki/44",
		`22 {"name":"v1"}`: "/projects/DEMO",
		`14 {"link":[{"key_id":"1","title":"t"}],"comment":{"content":"why"}}`: "/projects/DEMO",
	} {
		kind, c, _ := strings.Cut(content, " ")
		if e := backlog.one(body(kind, c, "")); e.Link != "https://acme.backlog.com"+want {
			t.Errorf("%s: got link %q", content, e.Link)
		}
	}
	if e := backlog.one(body("3", `{"key_id":1,"comment":{"content":"**bold**"}}`, `,"textFormattingRule":"markdown"`)); e.Description != "**bold**" {
		t.Errorf("got description %q", e.Description)
	}
	for _, c := range []string{"null", "[]", `"x"`, `{"changes":7,"link":{},"comment":[],"repository":3}`} {
		for _, kind := range []string{"1", "2", "12", "14", "21", "99", "null", `"x"`, "{}", "-1"} {
			if e := backlog.one(body(kind, c, "")); e.Title == "" || e.Type == "" {
				t.Errorf("type %s, content %s: got %+v", kind, c, e)
			}
		}
	}
}

func TestSlackShapes(t *testing.T) {
	slack := newSource(t, "slack")
	tests := []struct{ name, body, title, description, level, link string }{
		{"Text", `{"text":"Hello *World*"}`, "Hello World", "", "info", ""},
		{"Form", "payload=%7B%22text%22%3A%22a+b%22%7D", "a b", "", "info", ""},
		{"Lines", `{"text":":warning: Disk full\n<https://x.example/y|more> & <@U1|ann> <!channel> <#C1|ops>"}`, ":warning: Disk full", "[more](<https://x.example/y>) & @ann @channel #ops", "warn", "https://x.example/y"},
		{"Code", "{\"text\":\"t\\n`*a* &lt;b&gt;` *b* ~c~\"}", "t", "`*a* <b>` **b** ~~c~~", "info", ""},
		{"Colours", `{"text":"t","attachments":[{"color":"good","text":"a"},{"color":"#D00000","text":"b"}]}`, "t", "a\n\nb", "error", ""},
		{"Grey", `{"text":"t","attachments":[{"color":"#cccccc","fallback":"f"}]}`, "t", "f", "info", ""},
		{"RichText", `{"blocks":[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"Hi "},{"type":"text","text":"you","style":{"bold":true}},{"type":"link","url":"https://a.example/","text":"x"}]},
			{"type":"rich_text_list","style":"ordered","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"one"}]}]}]}]}`,
			"Hi youx", "Hi **you**[x](<https://a.example/>)\n1. one", "info", "https://a.example/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			slack.TB = t
			e := slack.one(test.body)
			if e.Title != test.title || e.Description != test.description || string(e.Level) != test.level || e.Link != test.link || e.Type != "message.posted" || e.Data["payload"] == nil {
				t.Errorf("got  %q %q %s %s %s\nwant %q %q %s %s", e.Title, e.Description, e.Level, e.Link, e.Type, test.title, test.description, test.level, test.link)
			}
		})
	}
	for _, body := range []string{`{}`, `{"text":""}`, `[]`, `payload=%`, `payload=%7B`} {
		if _, _, fault := slack.Convert(context.Background(), slack.request(body, ""), now); fault == nil {
			t.Errorf("%s is taken", body)
		}
	}
	for query, want := range map[string]string{"deploy.finished": "deploy.finished", "relay.test": "message.relay.test", "a b": "a_b"} {
		events, _, _ := slack.Convert(context.Background(), slack.request(`{"text":"t"}`, query), now)
		if !strings.Contains(string(events), `"type":"`+want+`"`) {
			t.Errorf("?type=%s gives %s", query, events)
		}
	}
	for result, want := range map[string]string{`{"status":202,"events":[]}`: "200 ok", `{"status":400,"error":"why"}`: "400 why"} {
		reply, fault := slack.Answer(context.Background(), json.RawMessage(result), now)
		if got := fmt.Sprintf("%d %s", reply.Status, reply.Body); fault != nil || got != want {
			t.Errorf("%s is answered %s (%v)", result, got, fault)
		}
	}
}

func TestWhatIsSkipped(t *testing.T) {
	github := newSource(t, "github")
	for event, cases := range map[string][][2]string{
		"ping":         {{`{"zen":"x"}`, "GitHub's ping"}},
		"push":         {{`{"ref":"refs/heads/x","commits":[]}`, "a push without commits"}},
		"workflow_run": {{`{"action":"requested"}`, "a workflow run was requested"}},
	} {
		github.headers["x-github-event"] = event
		for _, c := range cases {
			github.skips(c[0], c[1])
		}
	}
	gitlab := newSource(t, "gitlab")
	gitlab.skips(`{"object_kind":"pipeline","object_attributes":{"status":"running"}}`, "a pipeline is running")
	newSource(t, "alertmanager").skips(`{"alerts":[]}`, "there are no alerts in it")

	// One body, several events.
	grafana := newSource(t, "grafana")
	grafana.settings["split"] = true
	body := `{"alerts":[{"status":"firing","labels":{"alertname":"A","severity":"warning"}},{"status":"resolved","labels":{"alertname":"B"}}]}`
	events, _, fault := grafana.Convert(context.Background(), grafana.request(body, ""), now)
	var all []relay.Event
	if json.Unmarshal(events, &all) != nil || len(all) != 2 || all[0].Level != relay.LevelWarn || all[1].Type != "alert.resolved" {
		t.Errorf("got %s (%v)", events, fault)
	}
}

// FuzzSources: whatever a sender sends becomes events that relay accepts, or a
// fault with words.
func FuzzSources(f *testing.F) {
	samples, err := filepath.Glob("../../cmd/relay/testdata/senders/*.json")
	if err != nil || len(samples) == 0 {
		f.Fatalf("no samples (%v)", err)
	}
	names := templates.Sources()
	for _, file := range samples {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		name, event, _ := strings.Cut(filepath.Base(file), ".")
		if i := slices.Index(names, name); i >= 0 {
			f.Add(byte(i), strings.TrimSuffix(event, ".json"), string(body))
		}
	}
	f.Add(byte(1), "push", `{"type":{"a":1},"content":{"changes":[null,7,{"field":{}}],"link":[null]},"id":[],"project":7,"createdUser":"x","notifications":{}}`)
	f.Add(byte(6), "relay.", `{"text":"<|><a|b>*","attachments":[null,{"color":"#zzzzzz","ts":"x","fields":7,"actions":[null]}],"blocks":[{"type":"section","text":7,"fields":[null]},{"type":"rich_text","elements":[{}]}]}`)
	all := make([]*source, len(names))
	for i, name := range names {
		all[i] = newSource(f, name)
	}
	f.Fuzz(func(t *testing.T, which byte, word, body string) {
		s := *all[int(which)%len(all)]
		s.headers, s.settings = map[string]string{"x-github-event": word}, map[string]any{"space_url": "https://acme.example.com", "split": len(word)%2 == 0}
		events, reason, fault := s.Convert(context.Background(), s.request(body, word), now)
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
		if len(decoded) == 0 && reason == "" {
			t.Fatal("nothing, and no reason")
		}
		for _, e := range decoded {
			acceptable(t, e)
		}
	})
}

var typeGrammar = regexp.MustCompile(`^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$`)

func acceptable(t *testing.T, e relay.Event) {
	t.Helper()
	switch n := utf8.RuneCountInString(e.Title); {
	case n == 0 || n > 1000:
		t.Fatalf("a title of %d characters", n)
	case !typeGrammar.MatchString(e.Type) || len(e.Type) > 200 || strings.HasPrefix(e.Type, relay.ReservedTypes):
		t.Fatalf("type %q", e.Type)
	case len(e.Description) > 64<<10:
		t.Fatalf("a description of %d bytes", len(e.Description))
	}
	if e.Link != "" {
		if req, err := http.NewRequest("GET", e.Link, nil); err != nil || req.URL.Hostname() == "" {
			t.Fatalf("link %q: %v", e.Link, err)
		}
	}
}

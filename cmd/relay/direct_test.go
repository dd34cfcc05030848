package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
	"github.com/relay-sidecar/relay/plugins/discord/discordtest"
	"github.com/relay-sidecar/relay/plugins/feishu/feishutest"
	"github.com/relay-sidecar/relay/plugins/slack/slacktest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
	"github.com/relay-sidecar/relay/plugins/wecom/wecomtest"
)

// directVendors are the stand-ins of every vendor with direct messages.
var directVendors = map[string]struct {
	stand func(testing.TB) plugintest.DirectVendor
	id    func(n int) string // an id in the vendor's form
	// once: the vendor has a deduplication key, so that not even the message that
	// was on its way when relay was killed comes twice.
	once bool
	// noLookUp: people are known by explicit ids only.
	noLookUp bool
}{
	"dingtalk": {stand: func(t testing.TB) plugintest.DirectVendor { return dingtalktest.New(t) }, id: func(n int) string { return fmt.Sprint("manager", 7000+n) }},
	"discord":  {stand: func(t testing.TB) plugintest.DirectVendor { return discordtest.New(t) }, id: func(n int) string { return fmt.Sprint(80351110224678000 + n) }, once: true, noLookUp: true},
	"feishu":   {stand: func(t testing.TB) plugintest.DirectVendor { return feishutest.New(t) }, id: func(n int) string { return fmt.Sprintf("ou_%032d", n) }, once: true},
	"slack":    {stand: func(t testing.TB) plugintest.DirectVendor { return slacktest.New(t) }, id: func(n int) string { return fmt.Sprintf("U%08d", n) }},
	"teams":    {stand: func(t testing.TB) plugintest.DirectVendor { return teamstest.New(t) }, id: func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }},
	"wecom":    {stand: func(t testing.TB) plugintest.DirectVendor { return wecomtest.New(t) }, id: func(n int) string { return fmt.Sprint("member", 7000+n) }, once: true},
}

// office is a relay beside a vendor's stand-in.
type office struct {
	*relayProcess
	vendor   plugintest.DirectVendor
	provider string
	dir      string
	staff    int // people so far; each has a name that stands in their messages only
}

func openOffice(t *testing.T, provider string) *office {
	t.Helper()
	v := directVendors[provider].stand(t)
	dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
providers:
  %s: %s
destinations:
  team:
    provider: %[1]s
    direct_messages: true
    <<: %[3]s
`, provider, v.Entry(), v.Target())})
	return &office{relayProcess: startRelay(t, dir), vendor: v, provider: provider, dir: dir}
}

// hire makes a person of whom the vendor knows.
func (o *office) hire() relay.Person {
	p := o.stranger()
	id := directVendors[o.provider].id(o.staff)
	o.vendor.Know(id, p)
	if directVendors[o.provider].noLookUp {
		p.IDs = map[string]string{o.provider: id}
	}
	return p
}

// stranger makes a person of whom the vendor does not know.
func (o *office) stranger() relay.Person {
	o.staff++
	name := fmt.Sprintf("Person%03d", o.staff)
	return relay.Person{Name: name, Email: strings.ToLower(name) + "@example.com", Phone: fmt.Sprintf("+86138%08d", o.staff)}
}

// ask posts an event for people and waits until all its deliveries are over.
func (o *office) ask(title string, people ...relay.Person) []relay.Delivery {
	o.t.Helper()
	return o.finished(o.post(title, people...))
}

func (o *office) post(title string, people ...relay.Person) (event string) {
	o.t.Helper()
	body, err := json.Marshal(map[string]any{"type": "issue.approval_requested", "level": "warn", "title": title, "recipients": people})
	if err != nil {
		o.t.Fatal(err)
	}
	var answer struct{ ID string }
	if status := o.call("POST", "/v1/events", string(body), &answer); status != 202 {
		o.t.Fatalf("POST answered %d", status)
	}
	return answer.ID
}

func (o *office) finished(event string) (rows []relay.Delivery) {
	o.t.Helper()
	o.until("the end of event "+event, func() bool {
		rows = o.rows(event)
		return len(rows) > 0 && !slices.ContainsFunc(rows, func(d relay.Delivery) bool { return !d.State.Final() })
	})
	return rows
}

// rows are the deliveries of an event, in the order in which they were made.
func (o *office) rows(event string) []relay.Delivery {
	o.t.Helper()
	var page struct{ Deliveries []relay.Delivery }
	o.call("GET", "/v1/deliveries?event="+event, "", &page)
	slices.Reverse(page.Deliveries)
	return page.Deliveries
}

// log is what was tried for a delivery.
func (o *office) log(d relay.Delivery) relay.Delivery {
	o.t.Helper()
	var full relay.Delivery
	o.call("GET", "/v1/deliveries/"+url.PathEscape(d.ID), "", &full)
	return full
}

// seen counts the messages that somebody sees with these words in them.
func seen(all []plugintest.Sent, words ...string) (n int) {
	for _, m := range all {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(m.Body, w) }) {
			n++
		}
	}
	return n
}

// wants checks who sees how many messages with a title.
func (o *office) wants(what, title string, channel int, direct map[string]int) {
	o.t.Helper()
	if n := seen(o.vendor.Channel(), title); n != channel {
		o.t.Errorf("%s: the channel sees %d messages, want %d", what, n, channel)
	}
	total := 0
	for name, want := range direct {
		if n := seen(o.vendor.Direct(), title, name); n != want {
			o.t.Errorf("%s: %s sees %d messages, want %d", what, name, n, want)
		}
		total += want
	}
	if n := seen(o.vendor.Direct(), title); n != total {
		o.t.Errorf("%s: %d direct messages are seen, want %d", what, n, total)
	}
}

func states(rows []relay.Delivery) string {
	var out []string
	for _, d := range rows {
		out = append(out, fmt.Sprintf("%s %s", d.Part, d.State))
	}
	return strings.Join(out, ", ")
}

// TestDirectMessages plays, for each provider with its real process and a
// stand-in that behaves as the vendor's contract says, what can happen on the
// way to a person.
func TestDirectMessages(t *testing.T) {
	for _, p := range plugins.All() {
		name := p.Describe().Name
		if name == "custom" { // which has no people
			continue
		}
		if _, ok := directVendors[name]; !ok {
			t.Errorf("this test does not know the vendor of %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			playDirect(t, name)
		})
	}
}

func playDirect(t *testing.T, provider string) {
	o := openOffice(t, provider)
	steps := o.vendor.Steps()
	sending := steps[len(steps)-1]

	// All matched: each gets one message, the channel none.
	ann, bob, cem := o.hire(), o.hire(), o.hire()
	rows := o.ask("all-matched", ann, bob, cem)
	o.wants("all matched", "all-matched", 0, map[string]int{ann.Name: 1, bob.Name: 1, cem.Name: 1})
	if got := states(rows); got != "direct delivered, direct delivered, direct delivered" {
		t.Errorf("all matched: %s", got)
	}
	if d := o.log(rows[0]); d.User == "" || d.Match == nil || len(d.Log) != 1 || d.Log[0].Verdict != relay.Delivered {
		t.Errorf("all matched: %+v", d)
	}

	// None matched: the channel gets it after all, once.
	rows = o.ask("none-matched", o.stranger(), o.stranger())
	o.wants("none matched", "none-matched", 1, nil)
	if got := states(rows); got != "direct dead, direct dead, channel delivered" || rows[0].Reason != "unmatched" || !rows[2].Fallback {
		t.Errorf("none matched: %s, %+v", got, rows)
	}

	// Some matched: they get it, the channel does not.
	rows = o.ask("some-matched", ann, o.stranger())
	o.wants("some matched", "some-matched", 0, map[string]int{ann.Name: 1})
	if got := states(rows); got != "direct delivered, direct dead" {
		t.Errorf("some matched: %s", got)
	}

	// Nobody to write to: the channel.
	o.ask("no-recipients")
	o.wants("no recipients", "no-recipients", 1, nil)

	// Listed twice, by the same key or by keys that only the vendor knows to be one person's.
	twice := []relay.Person{ann, ann}
	if !directVendors[provider].noLookUp && provider != "slack" && provider != "teams" && provider != "dingtalk" {
		twice = append(twice, relay.Person{Name: ann.Name, Phone: ann.Phone}, relay.Person{Name: ann.Name, Email: ann.Email})
		twice[0].Phone, twice[1].Phone = "", ""
	}
	o.ask("listed-twice", twice...)
	o.wants("listed twice", "listed-twice", 0, map[string]int{ann.Name: 1})

	// What cannot be an email or a phone is that recipient's miss.
	rows = o.ask("unusable", ann, relay.Person{Name: "Odd", Email: "not an email", Phone: "call me"})
	o.wants("unusable", "unusable", 0, map[string]int{ann.Name: 1})
	if rows[1].Reason != "unmatched" {
		t.Errorf("unusable: %+v", rows[1])
	}
	if d := o.log(rows[1]); len(d.Log) != 1 || d.Log[0].Error == "" {
		t.Errorf("unusable: the log does not say why: %+v", d.Log)
	}

	// The look-up fails, and works later: no miss, no message to the channel.
	if !directVendors[provider].noLookUp {
		lookUp := steps[0]
		for _, s := range steps { // the first that is about a person
			if !strings.Contains(strings.ToLower(s), "token") {
				lookUp = s
				break
			}
		}
		dan := o.hire()
		o.vendor.Break(lookUp, "", 2)
		rows = o.ask("look-up-fails", dan)
		o.wants("look-up fails", "look-up-fails", 0, map[string]int{dan.Name: 1})
		if d := o.log(rows[0]); len(d.Log) != 3 || d.Log[0].Verdict != relay.Temporary || d.Log[0].Request == nil {
			t.Errorf("look-up fails: %+v", d.Log)
		}
	}

	// The message to one of three fails twice: the others get exactly one.
	o.vendor.Break(sending, bob.Name, 2)
	rows = o.ask("one-of-three-fails", ann, bob, cem)
	o.wants("one of three fails", "one-of-three-fails", 0, map[string]int{ann.Name: 1, bob.Name: 1, cem.Name: 1})
	if rows[0].Attempts != 1 || rows[1].Attempts != 3 || rows[2].Attempts != 1 {
		t.Errorf("one of three fails: attempts %d, %d, %d", rows[0].Attempts, rows[1].Attempts, rows[2].Attempts)
	}

	// The token ends between two messages, and then before a look-up.
	o.vendor.Expire()
	rows = o.ask("token-ended", ann)
	o.wants("token ended", "token-ended", 0, map[string]int{ann.Name: 1})
	if rows[0].Attempts != 1 {
		t.Errorf("token ended: %d attempts; it is fetched anew within one", rows[0].Attempts)
	}
	o.vendor.Expire()
	eve := o.hire()
	o.ask("token-ended-before-look-up", eve)
	o.wants("token ended before a look-up", "token-ended-before-look-up", 0, map[string]int{eve.Name: 1})

	// A replay of one recipient is one message to them, and changes nothing else.
	rows = o.ask("replayed", ann, bob)
	var again relay.Delivery
	if status := o.call("POST", "/v1/deliveries/"+rows[1].ID+"/replay", "", &again); status != 200 || again.ReplayOf == nil || *again.ReplayOf != rows[1].ID {
		t.Errorf("replay answered %d %+v", status, again)
	}
	o.finished(again.EventID)
	o.wants("replayed", "replayed", 0, map[string]int{ann.Name: 1, bob.Name: 2})

	// That nobody was found is remembered, but not against an operator.
	if !directVendors[provider].noLookUp {
		late := o.stranger()
		missed := o.ask("late", late)[0]
		o.vendor.Know(directVendors[provider].id(o.staff), late)
		if got := o.log(o.ask("later", late)[0]); got.Reason != "unmatched" || !strings.Contains(got.Log[0].Error, "asks at once") {
			t.Errorf("right after a miss: %s, %+v", got.Reason, got.Log)
		}
		o.call("POST", "/v1/deliveries/"+missed.ID+"/replay", "", &again)
		o.finished(again.EventID)
		if got := o.log(again); got.State != relay.StateDelivered {
			t.Errorf("replayed, the person is found: %s (%s)", got.State, got.Reason)
		}
	}

	// A test by an operator, with each step's answer.
	test := exec.Command("relay", "destinations", "test", "team", "--to", ann.Email, "--server", o.base)
	if directVendors[provider].noLookUp {
		test.Args[5] = ann.IDs[provider]
	} else if provider == "dingtalk" {
		test.Args[5] = ann.Phone
	}
	out, err := test.CombinedOutput()
	if err != nil {
		t.Errorf("relay destinations test: %v\n%s", err, out)
	}
	for _, want := range []string{"(relay.test)", "matched at ", "delivered in ", "request   POST http://127.0.0.1:", "answer    2"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("relay destinations test lacks %q:\n%s", want, out)
		}
	}
	miss := exec.Command("relay", "destinations", "test", "team", "--to", "nobody@example.com", "--server", o.base)
	if out, err := miss.CombinedOutput(); err == nil || !strings.Contains(string(out), "not delivered, the delivery is dead") {
		t.Errorf("a test to nobody: %v\n%s", err, out)
	}
	o.noSecrets()
	o.stop()
}

// TestTooFastInEachStep has the vendor say so in every call that a first
// message takes, each with a relay of its own, which has nothing remembered.
func TestTooFastInEachStep(t *testing.T) {
	for name, v := range directVendors {
		for i, step := range v.stand(t).Steps() {
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				t.Parallel()
				o := openOffice(t, name)
				ann, bob := o.hire(), o.hire()
				o.vendor.Throttle(step, 1)
				rows := o.ask("too-fast", ann)
				o.wants("too fast in "+step, "too-fast", 0, map[string]int{ann.Name: 1})
				d := o.log(rows[0])
				if len(d.Log) != 2 || d.Log[0].Verdict != relay.Temporary || d.Log[0].Response == nil {
					t.Errorf("too fast in %s: %+v", step, d.Log)
				}
				o.ask("afterwards", bob)
				o.wants("after "+step, "afterwards", 0, map[string]int{bob.Name: 1})
				o.stop()
			})
		}
	}
}

// noSecrets searches all that relay tells for the credentials.
func (o *office) noSecrets() {
	o.t.Helper()
	var page struct{ Deliveries []relay.Delivery }
	o.call("GET", "/v1/deliveries?limit=500", "", &page)
	told := o.relayProcess.log.String()
	for _, d := range page.Deliveries {
		_, answer, err := call(o.base, "GET", "/v1/deliveries/"+d.ID, "")
		if err != nil {
			o.t.Fatal(err)
		}
		told += string(answer)
	}
	for _, secret := range secretsOf(o.vendor) {
		if strings.Contains(told, secret) {
			o.t.Errorf("%q shows", secret)
		}
	}
}

// secretsOf are the credentials of a stand-in's settings, and every token that
// calls to it carried.
func secretsOf(v plugintest.DirectVendor) []string {
	var all []string
	var entry map[string]any
	if err := yaml.Unmarshal([]byte(v.Entry()), &entry); err != nil {
		panic(err)
	}
	for _, key := range []string{"bot_token", "client_secret", "app_secret", "secret"} {
		if secret, ok := entry[key].(string); ok {
			all = append(all, secret)
		}
	}
	for _, c := range v.Calls("") {
		for _, token := range []string{c.Header.Get("X-Acs-Dingtalk-Access-Token"), strings.TrimPrefix(strings.TrimPrefix(c.Header.Get("Authorization"), "Bearer "), "Bot ")} {
			if token != "" {
				all = append(all, token)
			}
		}
		if u, err := url.Parse(c.URL); err == nil && u.Query().Get("access_token") != "" {
			all = append(all, u.Query().Get("access_token"))
		}
	}
	return all
}

// TestKilledBetweenTwoRecipients kills relay after one recipient got the message
// and while the other's is on its way: nobody gets it twice where the vendor
// has a deduplication key, and elsewhere only whose was on its way can.
func TestKilledBetweenTwoRecipients(t *testing.T) {
	for name, v := range directVendors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openOffice(t, name)
			ann, bob := o.hire(), o.hire()
			release := o.vendor.Hold(bob.Name)
			event := o.post("killed", ann, bob)
			o.until("Ann has it, Bob's is on its way", func() bool {
				rows := o.rows(event)
				return len(rows) == 2 && rows[0].State == relay.StateDelivered && seen(o.vendor.Direct(), "killed", bob.Name) == 1
			})
			o.kill()
			release()
			o.relayProcess = startRelay(t, o.dir)
			o.finished(event)
			if n := seen(o.vendor.Direct(), "killed", ann.Name); n != 1 {
				t.Errorf("Ann sees %d messages", n)
			}
			n := seen(o.vendor.Direct(), "killed", bob.Name)
			if n < 1 || n > 2 || v.once && n > 1 {
				t.Errorf("Bob sees %d messages; the vendor has a deduplication key: %v", n, v.once)
			}
			interrupted := 0
			for _, row := range o.rows(event) {
				if o.log(row).Interrupted != nil {
					interrupted++
				}
			}
			if interrupted < 1 {
				t.Error("the log does not tell that a message was on its way when relay was killed")
			}
			if seen(o.vendor.Channel(), "killed") > 0 {
				t.Error("the channel got it as well")
			}
			o.stop()
		})
	}
}

// TestRevokedCredentialsHoldDirectMessagesOnly takes the credentials away: the
// direct messages wait, the channel goes on, and other credentials let them go.
func TestRevokedCredentialsHoldDirectMessagesOnly(t *testing.T) {
	for name := range directVendors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openOffice(t, name)
			ann := o.hire()
			d := o.log(o.ask("before", ann)[0])
			calls := append(d.Match.Steps, d.Log[0].Steps...)
			if n, want := len(calls)+1, len(o.vendor.Steps()); n < want {
				t.Errorf("the log tells of %d calls, want %d: %+v", n, want, calls)
			}
			for _, c := range calls {
				if c.Name == "" || c.Request == nil || c.Response == nil {
					t.Errorf("a call of which the log does not tell all: %+v", c)
				}
			}
			online := func() (string, error) {
				check := exec.Command("relay", "check", "--online")
				check.Dir = o.dir
				out, err := check.CombinedOutput()
				return string(out), err
			}
			line := o.provider + " (" + o.provider + "): "
			if out, err := online(); err != nil || !strings.Contains(out, line+"good\n") {
				t.Errorf("relay check --online: %v\n%s", err, out)
			}
			o.vendor.Revoke()
			o.vendor.Expire() // what was handed out before
			event := o.post("after", ann)
			o.until("it is held", func() bool {
				rows := o.rows(event)
				return len(rows) == 1 && rows[0].State == relay.StateHeld
			})
			o.ask("to-the-channel") // without recipients
			o.wants("revoked", "to-the-channel", 1, nil)
			var list struct {
				Destinations []struct {
					Channel, Direct struct{ State, Reason string }
				}
			}
			o.call("GET", "/v1/destinations", "", &list)
			if d := list.Destinations[0]; d.Channel.State != "active" || d.Direct.State != "paused" || d.Direct.Reason == "" {
				t.Errorf("destination %+v", d)
			}
			if out, err := online(); err == nil || !strings.Contains(out, "relay: error: relay.yaml:") || !strings.Contains(out, line+"refused: ") {
				t.Errorf("relay check --online: %v\n%s", err, out)
			}
			o.noSecrets()
			o.stop()
		})
	}
}

// TestWhoIsWho has relay.yaml say who somebody is, in which language they read,
// and that two addresses are one person; and a channel mention whom relay knows.
func TestWhoIsWho(t *testing.T) {
	v := slacktest.New(t)
	dir := workDir(t, map[string]string{
		"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
people: {file: people.yaml}
providers:
  slack: %s
destinations:
  asks: {provider: slack, events: [issue.approval_requested], direct_messages: [issue.approval_requested], <<: %s}
  room: {provider: slack, events: [issue.sent_back], recipients: [ann@example.com], <<: %[2]s}
  people: {provider: slack, events: [issue.approved], direct_messages: {fallback: never}}
`, v.Entry(), v.Target()),
		"people.yaml": `
- {email: ann@example.com, slack: U0ANN, language: zh-CN, tracker: 77}
- {phone: "+4915112345", email: bob@example.com}
`,
	})
	o := &office{relayProcess: startRelay(t, dir), vendor: v, provider: "slack", dir: dir}
	v.Know("U0ANN", relay.Person{Email: "ann.private@example.org"}) // another address at Slack
	v.Know("U0BOB", relay.Person{Email: "bob@example.com"})

	// By email, by the id of the app that sends, and by phone: Ann and Bob, once each.
	rows := o.ask("who", relay.Person{Name: "Ann", Email: "Ann@Example.com"}, relay.Person{Name: "Bob", Phone: "+4915112345"}, relay.Person{Email: "bob@example.com"})
	o.wants("who is who", "who", 0, map[string]int{"Ann": 1, "Bob": 1})
	if len(rows) != 2 || rows[0].User != "U0ANN" || rows[1].User != "U0BOB" {
		t.Errorf("rows %+v", rows)
	}
	if d := o.log(rows[0]); d.Match == nil || d.Match.By != "people" || len(d.Match.Steps) > 0 {
		t.Errorf("Ann was looked up: %+v", d.Match)
	}
	if n := seen(v.Direct(), "who", "Ann，"); n != 1 {
		t.Errorf("Ann's message is not in Chinese: %+v", v.Direct())
	}
	var answer struct{ ID string }
	o.call("POST", "/v1/events", `{"type":"issue.approval_requested","title":"by-app-id","source":"tracker","recipients":[{"id":77,"name":"A. Nonymous"}]}`, &answer)
	if rows := o.finished(answer.ID); len(rows) != 1 || rows[0].User != "U0ANN" {
		t.Errorf("by the sender's own id: %+v", rows)
	}

	// In a channel both are mentioned: Ann as relay.yaml knows her, Bob as a look-up found him.
	o.call("POST", "/v1/events", `{"type":"issue.sent_back","title":"call-them","recipients":[{"name":"Ann","email":"ann@example.com"},{"name":"Bob","email":"bob@example.com"},{"name":"Cem","email":"cem@example.com"}]}`, nil)
	o.until("the channel has it", func() bool { return seen(v.Channel(), "call-them") == 1 })
	if seen(v.Channel(), "call-them", "<@U0ANN> <@U0BOB> Cem") != 1 {
		t.Errorf("the channel sees %+v", v.Channel())
	}

	// A destination without a channel is for people only.
	for body, want := range map[string]int{
		`{"type":"issue.approved","title":"to-people","recipients":[{"name":"Ann","email":"ann@example.com"}]}`: 1,
		`{"type":"issue.approved","title":"to-nobody"}`:                                                         0,
	} {
		var answer struct{ Deliveries int }
		if o.call("POST", "/v1/events", body, &answer); answer.Deliveries != want {
			t.Errorf("%s: %d deliveries, want %d", body, answer.Deliveries, want)
		}
	}
	o.until("Ann has it", func() bool { return seen(v.Direct(), "to-people", "Ann") == 1 })

	// A change of people is a change of relay.yaml.
	writeFile(t, dir+"/people.yaml", "- {email: cem@example.com, slack: U0BOB}\n")
	o.until("it is taken up", func() bool {
		return o.ask("cem-is-bob", relay.Person{Name: "Cem", Email: "cem@example.com"})[0].User == "U0BOB"
	})
	writeFile(t, dir+"/people.yaml", "- {email: cem at example}\n")
	o.until("a mistake is reported", func() bool { return o.status().Config.Refused != nil })
	if p := o.status().Config.Refused.Problems[0]; p.File != "people.yaml" || p.Line != 1 {
		t.Errorf("reported as %+v", p)
	}
	o.stop()
}

// TestFallbackPolicies has the channel get what reached nobody, as each policy
// says, and never twice.
func TestFallbackPolicies(t *testing.T) {
	for policy, want := range map[string]map[string]int{ // by what happened
		"none_matched":   {"unmatched": 1, "mixed": 0, "refused": 0, "nobody": 1, "misspelt": 1},
		"any_unmatched":  {"unmatched": 1, "mixed": 1, "refused": 0, "nobody": 1, "misspelt": 1},
		"any_failed":     {"unmatched": 1, "mixed": 1, "refused": 1, "nobody": 1, "misspelt": 1},
		"none_delivered": {"unmatched": 1, "mixed": 0, "refused": 1, "nobody": 1, "misspelt": 1},
		"never":          {"unmatched": 0, "mixed": 0, "refused": 0, "nobody": 0, "misspelt": 0},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			v := slacktest.New(t)
			dir := workDir(t, map[string]string{"relay.yaml": fmt.Sprintf(`
server: {listen: 127.0.0.1:0}
store: {path: ./store}
providers: {slack: %s}
destinations:
  team: {provider: slack, direct_messages: {fallback: %s}, <<: %s}
`, v.Entry(), policy, v.Target())})
			o := &office{relayProcess: startRelay(t, dir), vendor: v, provider: "slack", dir: dir}
			ann := o.hire()
			o.ask("unmatched", o.stranger(), o.stranger())
			o.ask("mixed", ann, o.stranger())
			o.ask("nobody", relay.Person{Name: "Gone", IDs: map[string]string{"slack": "U0GONE"}})
			o.ask("misspelt", relay.Person{Name: "Gone", IDs: map[string]string{"slack": "@gone"}})
			v.Fail(slacktest.Post, "refused", 1, plugintest.Answer(200, `{"ok":false,"error":"user_disabled"}`))
			o.ask("refused", o.hire())
			for title, n := range want {
				if got := seen(v.Channel(), title); got != n {
					t.Errorf("%s: the channel sees %d messages, want %d", title, got, n)
				}
			}
			o.stop()
		})
	}
}

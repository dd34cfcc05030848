package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/app"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/dingtalk/dingtalktest"
	"github.com/relay-sidecar/relay/plugins/discord/discordtest"
	"github.com/relay-sidecar/relay/plugins/feishu/feishutest"
	"github.com/relay-sidecar/relay/plugins/slack/slacktest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
	"github.com/relay-sidecar/relay/plugins/wecom/wecomtest"
)

// secrets are what must not show, each by the place where it stands.
type secrets map[string]string

// mark makes a secret of its own for a place.
func (s secrets) mark(place string) string {
	s[place] = fmt.Sprintf("mArKeD%02d0f9e8d7c6b5a4f3e2%02d", len(s), len(s))
	return s[place]
}

// shows lists the places whose secret stands in a text, as it is or as URLs,
// JSON or base64 would have it.
func (s secrets) shows(text string) (places []string) {
	for place, secret := range s {
		quoted, _ := json.Marshal(secret)
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), strings.Trim(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		} {
			if strings.Contains(text, form) {
				at := strings.Index(text, form)
				places = append(places, fmt.Sprintf("%s (…%s…)", place, text[max(0, at-80):min(len(text), at+len(form)+40)]))
				break
			}
		}
	}
	slices.Sort(places)
	return places
}

// loud answers with everything that was asked, as a server does that somebody
// debugs. The event's title says with which status.
func loud(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	status := http.StatusInternalServerError
	if m := regexp.MustCompile(`loud (\d+)`).FindSubmatch(body); m != nil {
		fmt.Sscan(string(m[1]), &status)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Location", "/elsewhere"+r.URL.RequestURI())
	w.Header().Set("X-Request-Url", r.URL.String())
	for key, values := range r.Header {
		w.Header().Set("X-Echo-"+key, values[0])
	}
	w.WriteHeader(status)
	text, _ := json.Marshal(fmt.Sprintf("%s %s %v %s", r.Method, r.URL, r.Header, body))
	fmt.Fprintf(w, `{"code":7,"errcode":7,"error":%s,"errmsg":%s,"message":%s}`, text, text, text)
}

// TestNoSecretShows puts a marked secret wherever one can stand, has everything
// go right and wrong, and looks for them in all that relay keeps and tells.
func TestNoSecretShows(t *testing.T) {
	hidden := secrets{
		"dingtalk client_secret": dingtalktest.ClientSecret, "dingtalk url": dingtalktest.RobotToken,
		"discord bot_token": discordtest.Token, "discord url": discordtest.Secret,
		"feishu app_secret": feishutest.AppSecret, "feishu url": feishutest.HookToken,
		"slack bot_token": slacktest.Token, "slack url": slacktest.Secret,
		"teams client_secret": teamstest.Secret, "teams url": teamstest.Signature,
		"wecom secret": wecomtest.Secret,
		"loud feishu":  "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "loud wecom": "1b2c3d4e-5f6a-4b7c-8d9e-0f1a2b3c4d5e",
	}
	echo := httptest.NewServer(http.HandlerFunc(loud))
	t.Cleanup(echo.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	host := strings.TrimPrefix(echo.URL, "http://")

	t.Setenv("FULL_TOKEN", hidden.mark("server token"))
	t.Setenv("APP_TOKEN", hidden.mark("server token of scope events"))
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key="+hidden.mark("OTEL_EXPORTER_OTLP_HEADERS"))
	whsec := base64.StdEncoding.EncodeToString([]byte(hidden.mark("custom secret, decoded")))
	hidden["custom secret"] = whsec
	second := base64.StdEncoding.EncodeToString([]byte(hidden.mark("custom secrets, decoded")))
	hidden["custom secrets"] = second
	user, password := hidden.mark("custom url, user"), hidden.mark("custom url, password")
	hidden["custom url, Authorization"] = base64.StdEncoding.EncodeToString([]byte(user + ":" + password))

	var config strings.Builder
	fmt.Fprintf(&config, `
server:
  listen: 127.0.0.1:0
  tokens: ["${FULL_TOKEN}", {token: "${APP_TOKEN}", scope: events}, "${file:token.txt}"]
store: {path: ./store}
log: {level: debug}
sources: {bytebase: {token: %s}, backlog: {token: %s}}
destinations:
  custom:
    provider: custom
    url: "http://%s:%s@%s/hook/%s?key=%s"
    headers: {Authorization: "Bearer %s", X-Api-Key: %s}
    secret: whsec_%s
    retry: 0
  custom-two: {provider: custom, url: "%s/two", secrets: [whsec_%s, whsec_%s], retry: 0, format: event}
  custom-gone: {provider: custom, url: "%s/%s?key=%s", retry: 0}
`, hidden.mark("token of source bytebase"), hidden.mark("token of source backlog"),
		user, password, host, hidden.mark("custom url, path"), hidden.mark("custom url, query"),
		hidden.mark("custom headers, Authorization"), hidden.mark("custom headers, X-Api-Key"), whsec,
		echo.URL, second, whsec, gone.URL, hidden.mark("custom-gone url, path"), hidden.mark("custom-gone url, query"))
	paths := map[string]string{
		"dingtalk": "/robot/send?access_token=" + hidden.mark("loud dingtalk"), "discord": "/api/webhooks/1234567890/" + hidden.mark("loud discord"),
		"feishu": "/open-apis/bot/v2/hook/" + hidden["loud feishu"], "slack": "/services/T0001/B0001/" + hidden.mark("loud slack"),
		"teams": "/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig=" + hidden.mark("loud teams"),
		"wecom": "/cgi-bin/webhook/send?key=" + hidden["loud wecom"],
	}
	for name, path := range paths {
		fmt.Fprintf(&config, "  loud-%s: {provider: %[1]s, url: %q, retry: 0, rate: 50/s", name, echo.URL+path)
		if name == "dingtalk" || name == "feishu" {
			fmt.Fprintf(&config, ", secret: SEC%s", hidden.mark("loud "+name+" secret"))
		}
		config.WriteString("}\n")
	}
	stands := map[string]plugintest.DirectVendor{}
	providers := "providers:\n"
	for name, v := range directVendors {
		stands[name] = v.stand(t)
		providers += fmt.Sprintf("  %s: %s\n", name, stands[name].Entry())
		fmt.Fprintf(&config, "  %s: {provider: %[1]s, direct_messages: {events: [issue.approved], fallback: any_failed}, rate: 50/s, <<: %s}\n", name, stands[name].Target())
	}
	dir := workDir(t, map[string]string{
		"relay.yaml": config.String() + providers, "token.txt": hidden.mark("server token from a file") + "\n",
		// A template that tells all that it can see.
		"templates/custom/default.ts": `import { type Event, type Context } from "relay";
export default (event: Event, ctx: Context) => { throw new Error(JSON.stringify([event, ctx, Object.getOwnPropertyNames(globalThis)])); };
`,
	})
	p := startRelay(t, dir)
	bearer := "Authorization: Bearer " + os.Getenv("FULL_TOKEN")
	var told strings.Builder // everything that relay answers
	ask := func(method, path, body string, headers ...string) string {
		t.Helper()
		status, answer := p.ask(method, path, body, append([]string{bearer, "Content-Type: application/json"}, headers...)...)
		fmt.Fprintf(&told, "%s %s: %d %s\n", method, strings.SplitN(path, "?token", 2)[0], status, answer)
		return answer
	}
	settled := func() {
		t.Helper()
		p.until("everything ended", func() bool {
			_, answer := p.ask("GET", "/v1/deliveries?limit=500", "", bearer)
			return !strings.Contains(answer, `"state":"pending"`) && !strings.Contains(answer, `"state":"sending"`)
		})
	}

	// What goes right, and what goes wrong loudly.
	for name, v := range stands {
		steps := v.Steps()
		for _, step := range []string{steps[0], steps[len(steps)-1]} {
			v.(interface {
				Fail(step, match string, times int, answer http.HandlerFunc)
			}).Fail(step, "", 1, loud)
		}
		v.Know(directVendors[name].id(1), relay.Person{Name: "Ann", Email: "ann@example.com", Phone: "+8613800000001"})
	}
	ann := `"recipients":[{"name":"Ann","email":"ann@example.com","phone":"+8613800000001","ids":{"discord":"` + directVendors["discord"].id(1) + `"}}]`
	for _, title := range []string{"loud 400", "loud 500", "loud 302"} {
		ask("POST", "/v1/events", `{"type":"issue.created","title":"`+title+`"}`)
	}
	ask("POST", "/v1/events", `{"type":"issue.approved","title":"loud 200",`+ann+`}`)
	ask("POST", "/v1/sources/bytebase?token="+hidden["token of source bytebase"], bytebaseBody, "Authorization: ", "X-Forwarded-Token: "+hidden["token of source bytebase"])
	ask("POST", "/v1/sources/bytebase?token="+hidden["token of source bytebase"], strings.Replace(bytebaseBody, "example description", hidden["token of source backlog"]+" is not for the log", 1)[:40], "Authorization: ")
	ask("POST", "/v1/events?token="+os.Getenv("APP_TOKEN"), `{"type":"`)
	settled()
	for _, v := range stands {
		v.Expire()
		v.Revoke()
	}
	ask("POST", "/v1/events", `{"type":"issue.approved","title":"loud 403",`+ann+`}`)
	settled()

	// Everything that can be asked.
	var page struct{ Deliveries []relay.Delivery }
	if err := json.Unmarshal([]byte(ask("GET", "/v1/deliveries?limit=500", "")), &page); err != nil || len(page.Deliveries) < 50 {
		t.Fatalf("%d deliveries, %v", len(page.Deliveries), err)
	}
	verdicts, events := map[relay.Verdict]bool{}, map[string]bool{}
	for _, d := range page.Deliveries {
		var full relay.Delivery
		if err := json.Unmarshal([]byte(ask("GET", "/v1/deliveries/"+d.ID, "")), &full); err != nil {
			t.Fatal(err)
		}
		for _, a := range full.Log {
			verdicts[a.Verdict] = true
		}
		events[d.EventID] = true
	}
	for _, want := range []relay.Verdict{relay.Delivered, relay.Temporary, relay.MessageRefused, relay.DestinationRefused} {
		if !verdicts[want] {
			t.Errorf("nothing ended %s: the test shows little; there are %v", want, slices.Collect(maps.Keys(verdicts)))
		}
	}
	for event := range events {
		ask("GET", "/v1/events/"+event, "")
		ask("GET", "/v1/events/"+event+"/explain", "")
	}
	for _, name := range []string{"custom", "slack", "loud-teams"} {
		ask("POST", "/v1/destinations/"+name+"/resume", "")
		ask("POST", "/v1/destinations/"+name+"/test", "{}")
		ask("POST", "/v1/destinations/"+name+"/test", `{"to":"nobody@example.com"}`)
		ask("POST", "/v1/destinations/"+name+"/pause", "")
	}
	ask("POST", "/v1/deliveries/"+page.Deliveries[0].ID+"/replay", "")
	faulty := strings.NewReplacer("log: {level: debug}", "log: {level: "+hidden["server token"]+"}", "retry: 0", "retry: whsec_"+hidden["custom secret"],
		`url: "http://`+user, `url: "gopher://`+user, "X-Api-Key: ", "X-Api-Key: [1], x: ").Replace(config.String()) + strings.Replace(providers, "bot_token: ", "bot_tokn: ", 1)
	writeFile(t, filepath.Join(dir, "relay.yaml"), faulty)
	if answer := ask("POST", "/v1/reload", ""); strings.Count(answer, `"message"`) < 4 {
		t.Errorf("the reload names few faults: %s", answer)
	}
	for _, pattern := range app.Routes() {
		if method, path, _ := strings.Cut(pattern, " "); method == "GET" && !strings.Contains(path, "{") {
			ask("GET", path, "")
		}
	}
	if !strings.Contains(told.String(), "relay_attempts_total{") || !strings.Contains(told.String(), relay.SecretText) {
		t.Error("nothing was told that could show a secret")
	}

	// What plugins are started with, and what the commands print.
	for _, one := range p.plugins(bearer) {
		for _, file := range []string{"environ", "cmdline"} {
			text, _ := os.ReadFile(filepath.Join("/proc", fmt.Sprint(one), file)) // where there is /proc
			told.Write(text)
		}
	}
	for _, args := range [][]string{{"check"}, {"deliveries", "list", "--server", p.base}, {"deliveries", "show", page.Deliveries[1].ID, "--server", p.base}, {"destinations", "list", "--server", p.base}} {
		c := exec.Command("relay", args...)
		c.Dir, c.Env = dir, append(os.Environ(), "RELAY_TOKEN="+os.Getenv("FULL_TOKEN"))
		out, _ := c.CombinedOutput() // some fail, as they should
		told.Write(out)
	}

	// Secrets that exist only while relay runs: tokens that vendors handed out.
	handed := 0
	for name, v := range stands {
		for _, c := range v.Calls("") {
			_, token, _ := strings.Cut(c.Header.Get("Authorization"), " ")
			u, _ := url.Parse(c.URL)
			for _, value := range []string{token, c.Header.Get("X-Acs-Dingtalk-Access-Token"), u.Query().Get("access_token"), u.Query().Get("key"), u.Query().Get("sign"), u.Query().Get("corpsecret")} {
				if value != "" {
					hidden[fmt.Sprintf("%s, sent %s", name, c.Step)+value[:4]] = value
					handed++
				}
			}
		}
	}
	if handed < 10 {
		t.Errorf("only %d secrets were sent to vendors", handed)
	}

	while := everything(t, filepath.Join(dir, "store"))
	p.stop()
	for what, text := range map[string]string{
		"an answer of relay's": told.String(), "relay's log": p.log.String(),
		"the running store": while, "the store": everything(t, filepath.Join(dir, "store")),
	} {
		if len(text) < 1000 {
			t.Errorf("%s is hardly anything: %q", what, text)
		}
		for _, place := range hidden.shows(text) {
			t.Errorf("%s shows the secret of %s", what, place)
		}
	}
}

// plugins are the processes of plugins, for who may ask.
func (p *relayProcess) plugins(authorization string) (pids []int) {
	p.t.Helper()
	_, answer := p.ask("GET", "/v1/status", "", authorization)
	var s statusAnswer
	if err := json.Unmarshal([]byte(answer), &s); err != nil || len(s.Plugins) == 0 {
		p.t.Fatalf("%s: %v", answer, err)
	}
	for _, one := range s.Plugins {
		pids = append(pids, one.PID)
	}
	return pids
}

// everything is the content of all files below a directory.
func everything(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // sockets come and go
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

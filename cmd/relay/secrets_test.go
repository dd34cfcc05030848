package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecretsNeverShow marks every secret of a configuration, has vendors repeat
// all of them — also those of others — in every form and place of an answer, and
// looks for them in everything that relay tells or keeps.
func TestSecretsNeverShow(t *testing.T) {
	secrets := []string{
		"marked-server-token", "marked-narrow-token", "marked-source-token", "marked-slack-path-1", "marked-1/custom+path", "marked-custom-query",
		"marked-header-value", "marked \"quoted\" ümlaut", "xoxb-marked-bot-token", "marked-default-value",
	}
	var echo strings.Builder
	for _, s := range secrets {
		fmt.Fprintf(&echo, "%s %s %s %s %q ", s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), s)
	}
	h := newHook(t)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		w.Header().Set("X-Request-Id", secrets[0]+" "+secrets[4])
		switch {
		case strings.HasPrefix(r.URL.Path, "/down"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasPrefix(r.URL.Path, "/bad"), strings.HasPrefix(r.URL.Path, "/services"):
			w.WriteHeader(http.StatusBadRequest)
		case strings.HasPrefix(r.URL.Path, "/gone"):
			w.WriteHeader(http.StatusGone)
		}
		io.WriteString(w, echo.String())
	}
	good := fmt.Sprintf(`
server:
  listen: 127.0.0.1:0
  tokens: ["${file:token}", {token: marked-narrow-token, scope: read}]
store: {path: ./store}
providers: {slack: {bot_token: xoxb-marked-bot-token, api_base: %[1]q}}
sources: {bytebase: {token: marked-source-token}}
destinations:
  good: {provider: custom, url: "%[1]s/good/marked-1%%2Fcustom+path?key=marked-custom-query", headers: {X-Key: marked-header-value, X-Quoted: "marked \"quoted\" ümlaut"}}
  bad: {provider: custom, url: "%[1]s/bad", headers: {X-Key: "${NO_SUCH_VARIABLE:-marked-default-value}"}}
  down: {provider: custom, url: "%[1]s/down"}
  gone: {provider: custom, url: "%[1]s/gone"}
  team: {provider: slack, url: "%[1]s/services/T0001/B0001/marked-slack-path-1", direct_messages: true}
`, h.URL)
	dir := workDir(t, map[string]string{"relay.yaml": good, "token": secrets[0] + "\n"})
	p := startRelay(t, dir)
	if status, _, err := call(p.base, "GET", "/v1/status?token="+secrets[0], ""); err != nil || status != http.StatusUnauthorized {
		t.Errorf("a token in the query: %d, %v", status, err)
	}
	p.token = secrets[0]
	p.accept(`{"type":"issue.created","title":"t"}`)
	p.accept(`{"type":"issue.approved","title":"t","recipients":[{"email":"ann@example.com"}]}`)
	p.until("every destination was tried", func() bool {
		tried := map[string]bool{}
		for _, d := range p.deliveries("") {
			tried[d.Destination] = tried[d.Destination] || d.Reason != "" || d.State == "delivered" || d.State == "dead" || d.State == "held"
		}
		return len(tried) == 5 && tried["good"] && tried["bad"] && tried["down"] && tried["gone"] && tried["team"]
	})

	// A file that is refused has secrets, too; so have the words about it.
	writeFile(t, filepath.Join(dir, "relay.yaml"), strings.Replace(good, h.URL+"/gone", "ftp://127.0.0.1/marked-of-a-refused-file", 1))
	p.until("the file is refused", func() bool { return p.status().Config.Refused != nil })
	kept := p.everything()
	for _, args := range [][]string{
		{"check"}, {"check", "--json"}, {"deliveries", "list"}, {"destinations", "list"}, {"reload"}, {"destinations", "test", "bad"}, {"schema"},
	} {
		cmd := exec.Command("relay", append(args, "--server", p.base, "--token", secrets[0])...)
		if args[0] == "schema" {
			cmd = exec.Command("relay", args...)
		}
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // some fail, and say why
		kept += string(out)
	}
	p.stop()
	kept += p.log.String() + storeText(t, dir)
	if strings.Count(kept, "<secret> <secret> <secret> <secret>") < 3 {
		t.Errorf("the vendors' answers are not kept: the test shows nothing\n%s", kept)
	}
	for _, s := range append(secrets, "marked-of-a-refused-file") {
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)), fmt.Sprintf("%q", s)} {
			if at := strings.Index(kept, form); at >= 0 {
				t.Errorf("%q is told or kept: …%s…", form, kept[max(0, at-300):min(len(kept), at+100)])
			}
		}
	}
}

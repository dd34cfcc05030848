package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugins"
)

// vendors is how each built-in provider's vendor is called and answers, as far
// as its contract says what success is.
var vendors = map[string]struct{ path, settings, answer string }{
	"custom":   {"/hook", `secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`, `{"code":0,"message":""}`},
	"dingtalk": {"/robot/send?access_token=0123456789abcdef0123456789abcdef", `secret: SEC0123456789abcdef`, `{"errcode":0,"errmsg":"ok"}`},
	"discord":  {"/api/webhooks/1234567890123/abcdefghijklmnopqrstuvwxyz", ``, `{"id":"99","channel_id":"1","content":""}`},
	"feishu":   {"/open-apis/bot/v2/hook/0123abcd-0123-4567-89ab-0123456789ab", `secret: abcdefghijklmnop`, `{"code":0,"msg":"success","data":{}}`},
	"slack":    {"/services/T0001/B0001/abcdefghijklmnop", ``, `ok`},
	"teams":    {"/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=1&sig=abcdefghijklmnop", ``, ``},
	"wecom":    {"/cgi-bin/webhook/send?key=01234567-89ab-cdef-0123-456789abcdef", ``, `{"errcode":0,"errmsg":"ok"}`},
}

// TestEveryProviderDelivers sends one event through every built-in provider's
// own process.
func TestEveryProviderDelivers(t *testing.T) {
	h := newHook(t)
	h.answer = func(w http.ResponseWriter, r *http.Request, _ []byte) {
		for _, v := range vendors {
			path, _, _ := strings.Cut(v.path, "?")
			// Discord's path gets its version.
			if r.URL.Path == path || strings.HasSuffix(r.URL.Path, strings.TrimPrefix(path, "/api")) {
				if v.answer == "" {
					w.WriteHeader(http.StatusAccepted)
				}
				io.WriteString(w, v.answer)
				return
			}
		}
		http.Error(w, "nobody", http.StatusNotFound)
	}
	var config strings.Builder
	fmt.Fprintf(&config, "server: {listen: 127.0.0.1:0}\nstore: {path: ./store}\ndestinations:\n")
	var names []string
	for _, p := range plugins.All() {
		name := p.Describe().Name
		v, ok := vendors[name]
		if !ok {
			t.Fatalf("this test does not know how the vendor of %s answers", name)
		}
		names = append(names, name)
		fmt.Fprintf(&config, "  %s:\n    provider: %[1]s\n    url: %q\n", name, h.URL+v.path)
		if v.settings != "" {
			fmt.Fprintf(&config, "    %s\n", v.settings)
		}
	}
	dir := workDir(t, map[string]string{"relay.yaml": config.String()})
	p := startRelay(t, dir)
	p.accept(`{"type":"issue.approval_requested","level":"warn","title":"Add an index","description":"It locks **orders**.",
		"link":"https://app.example.com/1","actor":{"name":"Alice"},"recipients":[{"name":"Bob","phone":"+8613800000000"}]}`)

	type row struct{ ID, Destination, State, Reason string }
	var page struct{ Deliveries []row }
	p.until("everything ended", func() bool {
		p.call("GET", "/v1/deliveries", "", &page)
		return len(page.Deliveries) == len(names) && !slices.ContainsFunc(page.Deliveries, func(d row) bool {
			return d.State == "pending" || d.State == "sending"
		})
	})
	var kept strings.Builder // everything that relay tells or keeps
	for _, d := range page.Deliveries {
		if d.State != "delivered" {
			t.Errorf("%s: %s: %s", d.Destination, d.State, d.Reason)
		}
		var whole json.RawMessage
		p.call("GET", "/v1/deliveries/"+d.ID, "", &whole)
		kept.Write(whole)
	}
	if !strings.Contains(kept.String(), "<secret>") {
		t.Error("the log of attempts masks nothing: the test shows nothing")
	}
	p.stop()

	kept.WriteString(p.log.String())
	files, err := filepath.Glob(filepath.Join(dir, "store", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil {
			kept.Write(text)
		}
	}
	for _, secret := range []string{
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "SEC0123456789abcdef", "abcdefghijklmnop",
		"0123456789abcdef0123456789abcdef", "0123abcd-0123-4567-89ab-0123456789ab", "01234567-89ab-cdef-0123-456789abcdef",
	} {
		if strings.Contains(kept.String(), secret) {
			t.Errorf("the secret %q is kept", secret)
		}
	}
}

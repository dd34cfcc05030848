package plugintest

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// failures collects what a check says, in place of a test that has to pass.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Helper()                    {}
func (f *failures) Errorf(s string, a ...any)  { f.said = append(f.said, fmt.Sprintf(s, a...)) }
func (f *failures) Fatalf(s string, a ...any)  { f.Errorf(s, a...) }
func (f *failures) Fatal(a ...any)             { f.Errorf("%s", fmt.Sprint(a...)) }
func failed(check func(t testing.TB)) []string { f := &failures{}; check(f); return f.said }

func TestGolden(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := failed(func(t testing.TB) { Golden(t, "a/b", []byte(`{"x":1}`), false) }); len(got) == 0 {
		t.Error("a file that is missing is as good as the same")
	}
	Golden(t, "a/b", []byte(`{"x":1}`), true)
	Golden(t, "a/b", []byte(` {"x": 1}`), false)
	if got := failed(func(t testing.TB) { Golden(t, "a/b", []byte(`{"x":2}`), false) }); len(got) != 1 || !strings.Contains(got[0], filepath.Join("testdata", "a", "b.json")) {
		t.Errorf("got %q", got)
	}
}

func TestNoSecrets(t *testing.T) {
	report := relay.Report{Error: "no <s3cret>"}
	for _, c := range []struct {
		check func(testing.TB, any, ...string)
		what  relay.Report
		fails int
	}{
		{NoSecrets, report, 1}, {NoSecrets, relay.Report{}, 0}, {Masked, relay.Report{}, 1}, {Masked, relay.Report{Error: "no " + relay.SecretText}, 0}, {Masked, report, 2},
	} {
		if got := failed(func(t testing.TB) { c.check(t, c.what, "<s3cret>") }); len(got) != c.fails {
			t.Errorf("%+v: got %q", c.what, got)
		}
	}
	if got := failed(func(t testing.TB) { NoSecrets(t, report, "") }); len(got) != 1 {
		t.Errorf("a secret that is empty: got %q", got)
	}
}

func TestReply(t *testing.T) {
	v := NewVendor(t)
	v.Handle("step", "/", nil)
	r := Reply{Status: 302, Headers: []string{"Retry-After", "7"}, Body: "x", Verdict: relay.Temporary, Wait: 7 * time.Second, Words: "later"}
	v.Fail("step", "", 1, r.ServeHTTP)
	for _, want := range []string{"302 x 7 true", "200   false"} { // nil answers nothing
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(request) // a client would follow
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if got := fmt.Sprint(answer.StatusCode, " ", string(body), " ", answer.Header.Get("Retry-After"), " ", answer.Header.Get("Location") != ""); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	good := relay.Report{Verdict: relay.Temporary, RetryAfter: 7 * time.Second, Error: "try later", Response: &relay.Response{Status: 302, Body: "x"}}
	if got := failed(func(t testing.TB) { r.Check(t, good) }); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	for name, change := range map[string]func(*relay.Report){
		"verdict": func(r *relay.Report) { r.Verdict = relay.Ambiguous }, "wait": func(r *relay.Report) { r.RetryAfter = 0 }, "probe": func(r *relay.Report) { r.Probe = true },
		"no error": func(r *relay.Report) { r.Error = "" }, "words": func(r *relay.Report) { r.Error = "x" }, "no answer": func(r *relay.Report) { r.Response = nil },
		"status": func(r *relay.Report) { r.Response = &relay.Response{Status: 200, Body: "x"} }, "body": func(r *relay.Report) { r.Response = &relay.Response{Status: 302} },
	} {
		bad := good
		change(&bad)
		if got := failed(func(t testing.TB) { r.Check(t, bad) }); len(got) != 1 {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// A call that is held has done its work, and is answered when it is let go.
func TestHold(t *testing.T) {
	v := NewVendor(t)
	arrived := make(chan struct{})
	v.Handle("step", "/", func(w http.ResponseWriter, r *http.Request, body []byte) {
		close(arrived)
		v.Wait(r, body)
		_, _ = io.WriteString(w, "done")
	})
	release := v.Hold("hello")
	answered := make(chan string, 1)
	go func() {
		answer, err := http.Post(v.URL, "text/plain", strings.NewReader("say hello"))
		if err != nil {
			answered <- err.Error()
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		answered <- string(body)
	}()
	<-arrived
	select {
	case got := <-answered:
		t.Errorf("not held: %s", got)
	case <-time.After(20 * time.Millisecond):
	}
	release()
	if got := <-answered; got != "done" {
		t.Errorf("got %q", got)
	}
}

func TestCheckProblems(t *testing.T) {
	all := []plugin.Problem{{Pointer: "/url", Message: "use https, please"}, {Provider: true, Warning: true, Pointer: "/token", Message: "x"}, {NoChannel: true, Message: "url is missing"}}
	if got, want := Problems(all), "/url use https, please\nwarning provider /token x\nno channel url is missing"; got != want {
		t.Errorf("got %q", got)
	}
	CheckProblems(t, "the same", all, "/url https", "warning provider /token ", "no channel missing")
	CheckProblems(t, "none", nil, "")
	for _, want := range [][]string{
		{}, {""}, {"/url use https"}, {"/url", "warning provider /token x", "no channel url"}, {"/URL use", "warning provider /token x", "no channel url"},
		{"/url use", "provider /token x", "no channel url"}, {"/url use", "warning provider /token y", "no channel url"}, {"/url use", "warning provider /token x", "url is"},
	} {
		if got := failed(func(t testing.TB) { CheckProblems(t, "x", all, want...) }); len(got) != 1 {
			t.Errorf("%q: got %q", want, got)
		}
	}
}

package post_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

func TestCallsAreTheStepsOfAReport(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			fmt.Fprint(w, `{"access_token":"tok-en-of-today"}`)
			return
		}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s said %s", r.URL.Path, r.Header.Get("Authorization"))
	}))
	defer receiver.Close()
	masker := &relay.Masker{}
	masker.Add("client-secret")
	c := post.New(post.Options{}).Calls(masker)
	if r := c.Report(relay.Report{Verdict: relay.Temporary}); r.Request != nil || r.Steps != nil {
		t.Errorf("no call yet, and the report has %+v", r)
	}
	if _, err := c.Do(t.Context(), "token", post.JSON(receiver.URL+"/token?secret=client-secret", []byte(`{"secret":"client-secret"}`))); err != nil {
		t.Fatal(err)
	}
	c.Hide("tok-en-of-today")
	if _, err := c.Do(t.Context(), "lost", &plugin.Request{Method: "GET", URL: "http://127.0.0.1:1/people/ann"}); err == nil {
		t.Fatal("somebody answers at port 1")
	}
	if _, err := c.Do(t.Context(), "send", post.Bearer(post.JSON(receiver.URL+"/chats/19:a@b/send", []byte("hello")), "tok-en-of-today")); err != nil {
		t.Fatal(err)
	}
	r := c.Report(relay.Report{Verdict: relay.MessageRefused, Error: "refused tok-en-of-today", Receipt: "tok-en-of-today"})
	if len(r.Steps) != 2 || r.Steps[0].Name != "token" || r.Steps[1].Name != "lost" || r.Steps[1].Response != nil || r.Steps[1].Error == "" {
		t.Fatalf("steps %+v", r.Steps)
	}
	if r.Request.URL != receiver.URL+"/chats/19:a@b/send" || r.Response.Status != http.StatusTeapot || r.Request.Headers["Authorization"] != "<secret>" {
		t.Errorf("the last call is %+v, %+v", r.Request, r.Response)
	}
	if r.Steps[0].Request.URL != receiver.URL+"/token?<secret>" || r.Steps[0].Request.Body != `{"secret":"<secret>"}` || r.Steps[0].Response.Body != `{"access_token":"<secret>"}` {
		t.Errorf("the token's call is %+v, %+v", r.Steps[0].Request, r.Steps[0].Response)
	}
	if text := fmt.Sprintf("%+v %+v %+v %+v", r, *r.Request, *r.Response, *r.Steps[0].Response); strings.Contains(text, "tok-en") || strings.Contains(text, "client-secret") {
		t.Errorf("a secret shows: %s", text)
	}
	if n := len(c.Steps()); n != 3 {
		t.Errorf("%d steps", n)
	}
}

func TestWhatAFailedCallMeans(t *testing.T) {
	c := post.New(post.Options{}).Calls(&relay.Masker{})
	_, err := c.Do(t.Context(), "x", post.JSON("http://127.0.0.1:1/", nil))
	if post.Harmless(err).Verdict != relay.Temporary || post.Failed(err).Verdict != relay.Temporary {
		t.Errorf("nothing was sent: %v", err)
	}
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	defer hangs.Close()
	_, err = c.Do(t.Context(), "x", post.JSON(hangs.URL, nil))
	if post.Harmless(err).Verdict != relay.Temporary || post.Failed(err).Verdict != relay.Ambiguous {
		t.Errorf("the answer was lost: %v", err)
	}
}

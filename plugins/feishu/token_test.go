package feishu

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// A token that Feishu does not take any more is fetched anew, once.
func TestTokenIsRefreshed(t *testing.T) {
	answers := []string{""} // the stand-in's own words
	for _, code := range []int{99991661, 99991663, 99991664, 99991665, 99991668, 99991671, 99991677} {
		answers = append(answers, fmt.Sprintf(`{"code":%d,"msg":"m"}`, code))
	}
	for _, step := range []string{stepLookUp, stepSend} {
		for _, body := range answers {
			v := newVendor(t)
			d := openDirect(t, New(), v.Entry())
			if m := lookUp(t, d, annEmail); m.User != annUser {
				t.Fatal(m.Error)
			}
			v.Expire()
			if body != "" {
				v.Fail(step, "", 1, plugintest.Answer(400, body))
			}
			var r relay.Report
			if step == stepLookUp {
				m := lookUp(t, d, annEmail)
				if r = m.Report; m.User != annUser {
					t.Errorf("%s %s: got %+v", step, body, m)
				}
			} else if r = plugintest.Send(t, d, toAnn(), hello); r.Verdict != relay.Delivered {
				t.Errorf("%s %s: got %s: %s", step, body, r.Verdict, r.Error)
			}
			if n := len(v.Calls(stepToken)); n != 2 || !slices.Equal(stepsOf(r), []string{step, stepToken}) {
				t.Errorf("%s %s: %d token calls, steps %v", step, body, n, stepsOf(r))
			}
		}
	}
}

func TestTokenThatIsNeverTaken(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	v.Fail(stepSend, "", 100, plugintest.Answer(400, `{"code":99991663,"msg":"m"}`))
	if got := plugintest.Send(t, d, toAnn(), hello); got.Verdict != relay.DestinationRefused || got.Probe {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
	if sends, tokens := len(v.Calls(stepSend)), len(v.Calls(stepToken)); sends != 2 || tokens != 2 {
		t.Errorf("%d sends with %d tokens", sends, tokens)
	}
}

// Two that meet a token's end at once fetch one new token.
func TestRefreshTogether(t *testing.T) {
	v := newVendor(t)
	d := openDirect(t, New(), v.Entry())
	if m := lookUp(t, d, annEmail); m.User != annUser {
		t.Fatal(m.Error)
	}
	v.Expire()
	var both sync.WaitGroup
	both.Add(2)
	v.Fail(stepSend, "", 2, func(w http.ResponseWriter, r *http.Request) {
		both.Done()
		both.Wait()
		plugintest.Answer(400, `{"code":99991663,"msg":"m"}`)(w, r)
	})
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			to := toAnn()
			to.ID = fmt.Sprint(i)
			if got := plugintest.Send(t, d, to, hello); got.Verdict != relay.Delivered {
				t.Errorf("got %s: %s", got.Verdict, got.Error)
			}
		})
	}
	wg.Wait()
	if tokens, sent := len(v.Calls(stepToken)), len(v.Direct()); tokens != 2 || sent != 2 {
		t.Errorf("%d token calls, %d messages", tokens, sent)
	}
}

// watched says when somebody waits for its end.
type watched struct {
	context.Context
	waits func()
}

func (w watched) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

// A secret that was revoked is tried once, however many deliveries need a token.
func TestRevokedSecret(t *testing.T) {
	v := newVendor(t)
	asked, refuse := make(chan struct{}), make(chan struct{})
	v.Fail(stepToken, "", 1, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-refuse
		plugintest.Answer(200, `{"code":10015,"msg":"m"}`)(w, r)
	})
	p := New()
	var wg sync.WaitGroup
	send := func(ctx context.Context) {
		d := openDirect(t, p, v.Entry())
		req, err := d.Compose(toAnn(), hello)
		if err != nil {
			t.Error(err)
		}
		if got := d.Send(ctx, toAnn(), req); got.Verdict != relay.DestinationRefused || got.Probe || !strings.Contains(got.Error, "copy it anew") {
			t.Errorf("got %s, probe %v: %s", got.Verdict, got.Probe, got.Error)
		}
	}
	wg.Go(func() { send(t.Context()) })
	<-asked
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Add(1)
		wg.Go(func() { send(watched{t.Context(), sync.OnceFunc(waiting.Done)}) })
	}
	waiting.Wait()
	close(refuse)
	wg.Wait()
	if tokens, others := len(v.Calls(stepToken)), len(v.Calls(stepSend)); tokens != 1 || others != 0 {
		t.Errorf("%d token calls, %d others", tokens, others)
	}
	v.Fail(stepToken, "", 100, plugintest.Answer(200, `{"code":10015,"msg":"m"}`))
	people := make([]relay.Person, 120)
	for i := range people {
		people[i].Email = fmt.Sprintf("p%d@example.com", i)
	}
	for _, m := range openDirect(t, p, v.Entry()).Resolve(t.Context(), plugin.ByEmail, people) {
		if m.Verdict != relay.DestinationRefused {
			t.Errorf("got %+v", m)
		}
	}
	if n := len(v.Calls(stepToken)); n != 2 {
		t.Errorf("%d token calls", n)
	}
}

package plugintest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// Reach is a stand-in that knows one person, and how a provider reaches them.
// The checks of direct messages below start one anew for every case:
//
//	func reachAnn(t testing.TB) plugintest.Reach {
//		v, p := ntfytest.New(t), New()
//		v.Know("ann01", ann)
//		return plugintest.Reach{Vendor: v, Open: func() plugin.Direct { … }, User: "ann01", Person: ann, MatchBy: plugin.ByEmail}
//	}
type Reach struct {
	Vendor  DirectVendor
	Open    func() plugin.Direct // what reaches people; each call is one more destination of the same provider
	User    string               // the vendor's id of the person
	Person  relay.Person         // as look-ups find them
	MatchBy string               // what they are looked up by; empty: people are not looked up
	Secrets []string             // what no report may show
}

// LookUp looks the person up. The match has their id, or says why not.
func (r Reach) LookUp(t testing.TB, d plugin.Direct) plugin.Match {
	t.Helper()
	if r.MatchBy == "" {
		return plugin.Matched(r.User, 0)
	}
	m := d.Resolve(t.Context(), r.MatchBy, []relay.Person{r.Person})[0]
	NoSecrets(t, m, r.Secrets...)
	if m.User != "" && m.User != r.User || (m.User == "") != (m.Error != "") {
		t.Errorf("got %+v, want %s", m, r.User)
	}
	return m
}

var deliveries atomic.Int64

// Delivery is a new one to the person.
func (r Reach) Delivery() *plugin.Delivery {
	return &plugin.Delivery{ID: fmt.Sprintf("0199a5b0-0000-7000-8000-%012d", deliveries.Add(1)), Attempt: 1, User: r.User,
		Context: plugin.Context{Direct: true, Recipient: &r.Person}}
}

// Send sends the person a message of its own.
func (r Reach) Send(t testing.TB, d plugin.Direct) relay.Report {
	t.Helper()
	report := Send(t, d, r.Delivery(), relay.Rendered{Text: "hello"})
	NoSecrets(t, report, r.Secrets...)
	return report
}

// LookUpAndSend does what the first message to a person takes. Where they are
// not found the report is the look-up's.
func (r Reach) LookUpAndSend(t testing.TB, d plugin.Direct) relay.Report {
	t.Helper()
	m := r.LookUp(t, d)
	if m.User != "" {
		return r.Send(t, d)
	}
	if m.Keep != 0 && m.Verdict != relay.Unmatched {
		t.Errorf("a failure is kept for %s", m.Keep)
	}
	return m.Report
}

// StepNames are the names of a report's calls before the last.
func StepNames(r relay.Report) []string {
	var names []string
	for _, s := range r.Steps {
		names = append(names, s.Name)
	}
	return names
}

// Abort is an answer that does not come: the connection breaks.
func Abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// CheckSteps lets each step of the first message fail: the vendor finds relay
// too fast, and says to wait so long; it fails; its answer does not come; it
// does not listen at all. All that is temporary, except for the answer to the
// step that sends, which leaves open whether the message is there.
func CheckSteps(t *testing.T, start func(testing.TB) Reach, wait time.Duration) {
	steps := start(t).Vendor.Steps()
	for _, step := range steps {
		for name, c := range map[string]struct {
			fail func(DirectVendor)
			wait time.Duration
		}{
			"too fast": {func(v DirectVendor) { v.Throttle(step, 1) }, wait},
			"broken":   {func(v DirectVendor) { v.Break(step, "", 1) }, 0},
		} {
			t.Run(step+", "+name, func(t *testing.T) {
				r := start(t)
				d := r.Open()
				c.fail(r.Vendor)
				if got := r.LookUpAndSend(t, d); got.Verdict != relay.Temporary || got.RetryAfter != c.wait || got.Error == "" {
					t.Errorf("got %s, wait %s: %s", got.Verdict, got.RetryAfter, got.Error)
				}
				if n := len(r.Vendor.Direct()); n != 0 {
					t.Errorf("%d messages came through", n)
				}
				if got := r.LookUpAndSend(t, d); got.Verdict != relay.Delivered || len(r.Vendor.Direct()) != 1 {
					t.Errorf("afterwards: got %s, %d messages: %s", got.Verdict, len(r.Vendor.Direct()), got.Error)
				}
			})
		}
		t.Run(step+", no answer", func(t *testing.T) {
			r := start(t)
			r.Vendor.Fail(step, "", 9, Abort) // net/http repeats a GET that meets a closed connection
			want := relay.Temporary
			if step == steps[len(steps)-1] {
				want = relay.Ambiguous
			}
			if got := r.LookUpAndSend(t, r.Open()); got.Verdict != want || got.Error == "" || got.Request == nil || got.Response != nil {
				t.Errorf("got %s, want %s: %+v", got.Verdict, want, got)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		r := start(t)
		r.Vendor.Close()
		if got := r.LookUpAndSend(t, r.Open()); got.Verdict != relay.Temporary || got.Error == "" {
			t.Errorf("got %s: %s", got.Verdict, got.Error)
		}
		if got := r.Send(t, r.Open()); got.Verdict != relay.Temporary || got.Error == "" {
			t.Errorf("a message without a look-up: got %s: %s", got.Verdict, got.Error)
		}
	})
}

// over is a context whose time is over when its channel is closed.
type over struct {
	context.Context
	done chan struct{}
}

func (o over) Done() <-chan struct{} { return o.done }

func (o over) Err() error {
	select {
	case <-o.done:
		return context.DeadlineExceeded
	default:
		return o.Context.Err()
	}
}

// SendUnanswered sends a message that the person sees, while its answer does
// not come within the attempt's time. The report, which has to be ambiguous, is
// returned.
func (r Reach) SendUnanswered(t testing.TB, d plugin.Direct, delivery *plugin.Delivery, made relay.Rendered) relay.Report {
	t.Helper()
	request, err := d.Compose(delivery, made)
	if err != nil {
		t.Fatal(err)
	}
	before := len(r.Vendor.Direct())
	release := r.Vendor.Hold("") // every message
	defer release()
	ctx := over{t.Context(), make(chan struct{})}
	done := make(chan relay.Report, 1)
	go func() { done <- d.Send(ctx, delivery, request) }()
	for len(r.Vendor.Direct()) == before {
		select {
		case got := <-done:
			t.Fatalf("answered: %+v", got)
		case <-time.After(time.Millisecond):
		}
	}
	close(ctx.done)
	got := <-done
	if got.Verdict != relay.Ambiguous || !strings.HasPrefix(got.Error, "timeout") {
		t.Errorf("got %s: %s", got.Verdict, got.Error)
	}
	return got
}

// CheckTogether sends many messages, and looks the person up as often, at the
// same time and by several destinations of one account. Everybody is found and
// gets every message. The stand-in says what that took.
func CheckTogether(t *testing.T, start func(testing.TB) Reach) DirectVendor {
	const many = 20
	r := start(t)
	var all sync.WaitGroup
	for range many {
		d := r.Open()
		all.Go(func() {
			if m := r.LookUp(t, d); m.User == "" {
				t.Errorf("got %+v", m)
			}
		})
		all.Go(func() {
			if got := r.Send(t, d); got.Verdict != relay.Delivered {
				t.Errorf("got %s: %s", got.Verdict, got.Error)
			}
		})
	}
	all.Wait()
	if n := len(r.Vendor.Direct()); n != many {
		t.Errorf("%d messages, want %d", n, many)
	}
	return r.Vendor
}

// CheckTokens is for vendors that hand out one token to an app, in the first of
// their steps. refusals are, by step and for the last one at least, the vendor's
// answers to a token that it does not take any more: such a call is made once
// more with a new token, and not a third time. Those who meet a token's end
// together fetch one new token.
func CheckTokens(t *testing.T, start func(testing.TB) Reach, refusals map[string][]http.HandlerFunc) {
	steps := start(t).Vendor.Steps()
	fetch, last := steps[0], steps[len(steps)-1]
	for step, answers := range refusals {
		use := func(t testing.TB, r Reach, d plugin.Direct) relay.Report {
			if step == last {
				return r.Send(t, d)
			}
			return r.LookUp(t, d).Report
		}
		for i, refuse := range append([]http.HandlerFunc{nil}, answers...) { // nil: the stand-in's own words
			t.Run(fmt.Sprint(step, ", renewed ", i), func(t *testing.T) {
				r := start(t)
				d := r.Open()
				r.LookUp(t, d)
				r.Vendor.Expire()
				if refuse != nil {
					r.Vendor.Fail(step, "", 1, refuse)
				}
				got := use(t, r, d)
				if got.Error != "" || !slices.Equal(StepNames(got), []string{step, fetch}) || len(r.Vendor.Calls(fetch)) != 2 {
					t.Errorf("got %s, steps %v, %d tokens: %s", got.Verdict, StepNames(got), len(r.Vendor.Calls(fetch)), got.Error)
				}
			})
		}
		for i, refuse := range answers {
			t.Run(fmt.Sprint(step, ", never taken ", i+1), func(t *testing.T) {
				r := start(t)
				r.Vendor.Fail(step, "", 9, refuse)
				if got := use(t, r, r.Open()); got.Verdict != relay.DestinationRefused || got.Probe {
					t.Errorf("got %s, probe %v: %s", got.Verdict, got.Probe, got.Error)
				}
				if calls, tokens := len(r.Vendor.Calls(step)), len(r.Vendor.Calls(fetch)); calls != 2 || tokens != 2 {
					t.Errorf("%d calls with %d tokens", calls, tokens)
				}
			})
		}
	}
	t.Run("renewed together", func(t *testing.T) {
		r := start(t)
		d := r.Open()
		r.Send(t, d)
		r.Vendor.Expire()
		var both, all sync.WaitGroup
		both.Add(2)
		r.Vendor.Fail(last, "", 2, func(w http.ResponseWriter, req *http.Request) {
			both.Done()
			both.Wait()
			refusals[last][0](w, req)
		})
		for range 2 {
			all.Go(func() {
				if got := r.Send(t, d); got.Verdict != relay.Delivered {
					t.Errorf("got %s: %s", got.Verdict, got.Error)
				}
			})
		}
		all.Wait()
		if tokens, sent := len(r.Vendor.Calls(fetch)), len(r.Vendor.Direct()); tokens != 2 || sent != 3 {
			t.Errorf("%d tokens, %d messages", tokens, sent)
		}
	})
}

// CheckRevoked is for the same vendors. However many need a token when the
// vendor refuses the app's secret, it is asked once, and nothing is sent. The
// error has to hold the words that tell what to do.
func CheckRevoked(t *testing.T, start func(testing.TB) Reach, refuse http.HandlerFunc, words string) {
	r := start(t)
	fetch := r.Vendor.Steps()[0]
	asked, answer := make(chan struct{}), make(chan struct{})
	r.Vendor.Fail(fetch, "", 1, func(w http.ResponseWriter, req *http.Request) {
		close(asked)
		<-answer
		refuse(w, req)
	})
	send := func(ctx context.Context) {
		d, to := r.Open(), r.Delivery()
		request, err := d.Compose(to, relay.Rendered{Text: "hello"})
		if err != nil {
			t.Error(err)
			return
		}
		if got := d.Send(ctx, to, request); got.Verdict != relay.DestinationRefused || got.Probe || !strings.Contains(got.Error, words) {
			t.Errorf("got %s, probe %v: %s", got.Verdict, got.Probe, got.Error)
		}
	}
	var all, waiting sync.WaitGroup
	all.Go(func() { send(t.Context()) })
	<-asked
	for range 8 {
		waiting.Add(1)
		all.Go(func() { send(watched{t.Context(), sync.OnceFunc(waiting.Done)}) })
	}
	waiting.Wait()
	close(answer)
	all.Wait()
	if calls := r.Vendor.Calls(""); len(calls) != 1 {
		t.Errorf("%d calls", len(calls))
	}
}

// watched is a context that tells when somebody waits for its end.
type watched struct {
	context.Context
	waits func()
}

func (w watched) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

package kit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/pluginpb"
)

func (t *trial) delivered(context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	r, err := t.deliver(t.delivery("delivered"))
	if err != nil {
		return "", err
	}
	n := len(t.vendor.seen())
	switch {
	case r.Verdict != relay.Delivered:
		return "", fmt.Errorf("the vendor answered %d, and the report is %s: %s\nif the vendor says yes in other words, write them as answer into %s", max(t.c.Answer.Status, 200), r.Verdict, r.Error, CaseFile)
	case n == 0:
		return "", errors.New("the report is delivered, and the vendor's stand-in got no request\nif the settings lead elsewhere, write such as lead to ${VENDOR} into " + CaseFile)
	case n > 1:
		return "", fmt.Errorf("one delivery made %d requests; the vendor shows the message more than once", n)
	}
	return "one request, one report", nil
}

// byStatus is what HTTP itself says, for vendors of which nothing else is known.
func byStatus() []Class {
	return []Class{
		{Name: "too fast", Answer: Answer{Status: http.StatusTooManyRequests, Headers: map[string]string{"Retry-After": "7"}}, Want: []relay.Verdict{relay.Temporary}, WaitMS: 7000},
		{Name: "unavailable", Answer: Answer{Status: http.StatusServiceUnavailable}, Want: []relay.Verdict{relay.Temporary, relay.Ambiguous}},
		{Name: "server error", Answer: Answer{Status: http.StatusInternalServerError}, Want: []relay.Verdict{relay.Temporary, relay.Ambiguous}},
		{Name: "bad message", Answer: Answer{Status: http.StatusBadRequest}, Want: []relay.Verdict{relay.MessageRefused, relay.DestinationRefused}},
		{Name: "bad credentials", Answer: Answer{Status: http.StatusUnauthorized}, Want: []relay.Verdict{relay.DestinationRefused}},
		{Name: "gone", Answer: Answer{Status: http.StatusGone}, Want: []relay.Verdict{relay.DestinationRefused}},
	}
}

func (t *trial) classes(context.Context) (string, error) {
	classes, words := t.c.Classes, "of "+CaseFile
	if len(classes) == 0 {
		classes, words = byStatus(), "by HTTP status"
	}
	var faults []error
	seen := map[relay.Verdict]bool{}
	for i, c := range classes {
		t.vendor.say(c.Answer)
		r, err := t.deliver(t.delivery(fmt.Sprintf("class-%d", i)))
		if err != nil {
			return "", fmt.Errorf("%s: %w", c.Name, err)
		}
		seen[r.Verdict] = true
		switch {
		case !slices.Contains(c.Want, r.Verdict):
			faults = append(faults, fmt.Errorf("%s: the vendor answered %d, the report is %s (%s), and %v is right", c.Name, c.Answer.Status, r.Verdict, r.Error, c.Want))
		case c.WaitMS > 0 && (r.RetryAfter < time.Duration(c.WaitMS-1000)*time.Millisecond || r.RetryAfter > time.Duration(c.WaitMS+1000)*time.Millisecond):
			faults = append(faults, fmt.Errorf("%s: the vendor asks for a wait of %d ms, and the report says %d", c.Name, c.WaitMS, r.RetryAfter.Milliseconds()))
		case r.Error == "" && r.Verdict != relay.Delivered:
			faults = append(faults, fmt.Errorf("%s: the report has no error; say in a line what the vendor answered", c.Name))
		case strings.Contains(r.Error, "\n"):
			faults = append(faults, fmt.Errorf("%s: the error has several lines", c.Name))
		}
	}
	var names []string
	for v := range seen {
		names = append(names, string(v))
	}
	slices.Sort(names)
	return fmt.Sprintf("%d answers %s: %s", len(classes), words, strings.Join(names, ", ")), errors.Join(faults...)
}

func (t *trial) nobodyListens(ctx context.Context) (string, error) {
	gone, err := newVendor()
	if err != nil {
		return "", err
	}
	gone.close()
	away := func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), t.vendor.url, gone.url)) }
	s := &pluginpb.Settings{Revision: "kit-gone", Destination: "kit", Entry: t.who.Name, Provider: away(t.good.Provider), Target: away(t.good.Target)}
	if string(s.Provider) == string(t.good.Provider) && string(s.Target) == string(t.good.Target) {
		return skip("the settings hold no URL")
	}
	if _, err := t.put(ctx, t.good, s); err != nil {
		return "", err
	}
	d := t.delivery("gone")
	d.Settings = s.Revision
	r, err := t.deliver(d)
	if err != nil {
		return "", err
	}
	if r.Verdict != relay.Temporary {
		return "", fmt.Errorf("the vendor refuses connections, so that nothing was sent, and the report is %s; temporary is right", r.Verdict)
	}
	return "temporary", nil
}

func (t *trial) messages(context.Context) (string, error) {
	var faults []error
	for _, kind := range []string{"portable", "full", "bare", "text", "long"} {
		t.vendor.say(t.c.Answer)
		d := t.delivery("message-" + kind)
		t.message(d, kind)
		r, err := t.deliver(d)
		if err != nil {
			return "", fmt.Errorf("%s: %w", kind, err)
		}
		if r.Verdict != relay.Delivered {
			faults = append(faults, fmt.Errorf("a portable message or a text always finds a form (too long is cut): %s is %s: %s", kind, r.Verdict, r.Error))
		}
		for _, q := range t.vendor.seen() {
			if strings.ContainsAny(q.body+q.url, "\ue000\ue001") || strings.Contains(q.body, `\ue000`) {
				faults = append(faults, fmt.Errorf("%s: a mention token reached the vendor; print the person's name, or the vendor's mention, in its place", kind))
			}
		}
	}
	return "portable, full, bare, text, and longer than any vendor takes", errors.Join(faults...)
}

func (t *trial) templates(context.Context) (string, error) {
	if !t.renders() {
		return skip("the plugin has no engine")
	}
	var faults []error
	for kind, want := range map[string]relay.Verdict{"skip": relay.Skipped, "throw": relay.MessageRefused, "loop": relay.MessageRefused, "none": relay.MessageRefused, "unknown": relay.MessageRefused} {
		t.vendor.say(t.c.Answer)
		d := t.delivery("template-" + kind)
		t.message(d, kind)
		r, err := t.deliver(d)
		switch {
		case err != nil:
			return "", fmt.Errorf("a template that does %s: %w", kind, err)
		case r.Verdict != want:
			faults = append(faults, fmt.Errorf("template %s with template_errors: dead is %s, and %s is right", kind, r.Verdict, want))
		case want == relay.MessageRefused && r.TemplateError == nil:
			faults = append(faults, fmt.Errorf("template %s fails, and the report has no template_error", kind))
		case len(t.vendor.seen()) > 0:
			faults = append(faults, fmt.Errorf("template %s makes no message, and something was sent", kind))
		}
		if want != relay.MessageRefused {
			continue
		}
		d = t.delivery("fallback-" + kind)
		t.message(d, kind)
		d.TemplateErrors = string(relay.TemplateErrorsFallback)
		if r, err = t.deliver(d); err != nil || r.Verdict != relay.Delivered || r.TemplateError == nil {
			faults = append(faults, fmt.Errorf("template %s fails with template_errors: fallback: the fallback is sent, and the report carries the error; got %s (%v)", kind, r.Verdict, err))
		}
	}
	return "skipped, failed, and replaced by the fallback", errors.Join(faults...)
}

func (t *trial) idempotency(context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	var all []request
	for i, id := range []string{"0199a5b0-0000-7000-8000-0000000000aa", "0199a5b0-0000-7000-8000-0000000000aa", "0199a5b0-0000-7000-8000-0000000000bb"} {
		d := t.delivery(id)
		d.Attempt = uint32(i%2 + 1)
		if _, err := t.deliver(d); err != nil {
			return "", err
		}
	}
	if all = t.vendor.seen(); len(all) != 3 {
		return "", fmt.Errorf("three deliveries made %d requests", len(all))
	}
	if t.c.Idempotency == nil {
		return skip("%s names no place of a deduplication key; if the vendor has one, say so with idempotency", CaseFile)
	}
	first, second, other := all[0].at(*t.c.Idempotency), all[1].at(*t.c.Idempotency), all[2].at(*t.c.Idempotency)
	switch {
	case first == "":
		return "", errors.New("there is no key at the place that idempotency names")
	case first != second:
		return "", fmt.Errorf("the key is %q in the first attempt and %q in the second; make it from the delivery's id alone", first, second)
	case first == other:
		return "", fmt.Errorf("two deliveries have the key %q; the vendor would swallow one", first)
	}
	return "the same in every attempt, another for every delivery", nil
}

func (t *trial) oneRequest(context.Context) (string, error) {
	for _, code := range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusTooManyRequests, http.StatusTemporaryRedirect} {
		t.vendor.say(Answer{Status: code, Headers: map[string]string{"Location": t.vendor.url + "/elsewhere", "Retry-After": "0"}})
		if _, err := t.deliver(t.delivery(fmt.Sprintf("once-%d", code))); err != nil {
			return "", err
		}
		if n := len(t.vendor.seen()); n != 1 {
			return "", fmt.Errorf("the vendor answered %d, and got %d requests in one attempt; retries are relay's, which knows the limits, and redirects are not followed", code, n)
		}
	}
	return "no retries, no redirects", nil
}

func (t *trial) concurrent(context.Context) (string, error) {
	const n = 16
	t.vendor.say(t.c.Answer)
	release := t.vendor.hold()
	defer release()
	var all sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	for i := range n {
		d := t.delivery(fmt.Sprintf("many-%d", i))
		all.Go(func() {
			if r, err := t.deliver(d); err != nil || r.Verdict != relay.Delivered {
				mu.Lock()
				defer mu.Unlock()
				faults = append(faults, fmt.Errorf("%s: %s %s %v", d.Id, r.Verdict, r.Error, err))
			}
		})
	}
	open := t.vendor.waiting(n, 5*time.Second)
	release()
	all.Wait()
	t.mu.Lock()
	doubles := t.doubles
	t.mu.Unlock()
	switch {
	case open < n:
		return "", fmt.Errorf("of %d deliveries handed over only %d were on their way at a time; one that waits for the vendor must not hold up the others", n, open)
	case doubles > 0:
		return "", fmt.Errorf("%d results for tickets that were answered before, or never given", doubles)
	}
	return fmt.Sprintf("%d on their way together, each answered once", n), errors.Join(faults...)
}

func (t *trial) timeout(context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	release := t.vendor.hold()
	defer release()
	d := t.delivery("timeout")
	d.TimeoutMs = 500
	began := time.Now()
	r, err := t.deliver(d)
	took := time.Since(began).Round(10 * time.Millisecond)
	switch {
	case err != nil:
		return "", fmt.Errorf("the vendor does not answer, and timeout_ms is 500: %w", err)
	case r.Verdict != relay.Ambiguous && r.Verdict != relay.Temporary:
		return "", fmt.Errorf("the vendor did not answer, and the report is %s", r.Verdict)
	case r.Verdict == relay.Temporary:
		return "", errors.New("the request was sent and not answered, and the report is temporary; it may be visible, which is ambiguous")
	case took > 2*time.Second:
		return "", fmt.Errorf("timeout_ms was 500, and the answer took %s", took)
	}
	return fmt.Sprintf("ambiguous after %s", took), nil
}

func (t *trial) cancel(context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	release := t.vendor.hold()
	defer release()
	d := t.delivery("cancel")
	d.TimeoutMs = 60_000
	c, err := t.send(d)
	if err != nil {
		return "", err
	}
	if t.vendor.waiting(1, 5*time.Second) == 0 {
		return "", errors.New("no request came to the vendor")
	}
	t.sendMu.Lock()
	err = t.stream.Send(&pluginpb.DeliverRequest{Cancel: []uint64{d.Ticket, 1 << 40}}) // and one that nobody knows
	t.sendMu.Unlock()
	if err != nil {
		return "", err
	}
	began := time.Now()
	r, err := t.wait(c, 2*time.Second)
	if err != nil {
		return "", fmt.Errorf("a delivery whose ticket stands in cancel: %w", err)
	}
	if r.Verdict != relay.Ambiguous && r.Verdict != relay.Temporary {
		return "", fmt.Errorf("a cancelled delivery is %s", r.Verdict)
	}
	return fmt.Sprintf("answered %s after it", time.Since(began).Round(time.Millisecond)), nil
}

func (t *trial) oversize(context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	d := t.delivery("oversize")
	d.Event = []byte(`{"type":"issue.created","title":"large","level":"info","data":{"x":"` + strings.Repeat("x", 6<<20) + `"}}`)
	r, err := t.deliver(d)
	if err != nil {
		return "", fmt.Errorf("an event of 6 MiB: %w\ngRPC servers take 4 MiB unless told otherwise; frames are up to 16 MiB", err)
	}
	if r.Verdict != relay.Delivered && r.Verdict != relay.MessageRefused {
		return "", fmt.Errorf("an event of 6 MiB is %s: %s", r.Verdict, r.Error)
	}
	return fmt.Sprintf("an event of 6 MiB is %s", r.Verdict), nil
}

func (t *trial) comeAndGo(ctx context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	other := &pluginpb.Settings{Revision: "kit-other", Destination: "kit-other", Entry: t.who.Name, Provider: t.good.Provider, Target: t.good.Target}
	if _, err := t.put(ctx, other); err != nil {
		return "", err
	}
	d := t.delivery("other")
	d.Settings = other.Revision
	if r, err := t.deliver(d); err != nil || r.Verdict != relay.Delivered {
		return "", fmt.Errorf("with settings of a second Configure: %s %s (%v)", r.Verdict, r.Error, err)
	}
	n := len(t.vendor.seen())
	r, err := t.deliver(t.delivery("forgotten"))
	switch {
	case err != nil:
		return "", err
	case r.Verdict != relay.Temporary || len(t.vendor.seen()) != n:
		return "", fmt.Errorf("settings that a Configure leaves out are forgotten, and a delivery that names them is temporary, with nothing sent; it is %s", r.Verdict)
	}
	if _, err := t.put(ctx, t.good); err != nil {
		return "", err
	}
	return "", nil
}

func (t *trial) preview(ctx context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := t.client.Preview(ctx, &pluginpb.PreviewRequest{Delivery: t.delivery("preview")})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return skip("the plugin does not serve Preview; relay can do without")
	case err != nil:
		return "", fmt.Errorf("the call Preview: %w", err)
	case len(t.vendor.seen()) > 0:
		return "", errors.New("the call Preview sent something")
	case resp.Report.GetRequest() == nil:
		return "", fmt.Errorf("the call Preview shows no request: %s", resp.Report.GetError())
	}
	t.note(resp.Report.Request.Url + " " + string(resp.Report.Request.Body))
	for name, value := range resp.Report.Request.Headers {
		t.note(name + ": " + value)
	}
	return "", nil
}

func (t *trial) lookUps(ctx context.Context) (string, error) {
	if t.who.Direct == nil {
		return skip("the plugin has no direct messages")
	}
	by := append(slices.Clone(t.who.Direct.MatchBy), "email")[0]
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	people := [][]byte{[]byte(`{"email":"a@example.com","phone":"+4915100000001"}`), []byte(`{"email":"b@example.com","phone":"+4915100000002"}`)}
	resp, err := t.client.Resolve(ctx, &pluginpb.ResolveRequest{Settings: "kit-unknown", By: by, People: people, TimeoutMs: 2000})
	if err != nil {
		return "", fmt.Errorf("the call Resolve: %w", err)
	}
	if len(resp.Matches) != len(people) {
		return "", fmt.Errorf("the call Resolve answers for %d of %d people", len(resp.Matches), len(people))
	}
	for _, m := range resp.Matches {
		if m.User != "" || m.Report.GetVerdict() != pluginpb.Verdict_TEMPORARY {
			return "", fmt.Errorf("a look-up with settings that the plugin does not have is temporary, and it is %s", m.Report.GetVerdict())
		}
	}
	return "one answer a person", nil
}

package teams

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
	"github.com/relay-sidecar/relay/plugins/teams/teamstest"
)

// TestTokenEndsEarly: the old token stops working although its time is not
// over; the call is made once more with a new one.
func TestTokenEndsEarly(t *testing.T) {
	v := vendor(t)
	d := openBot(t, v)
	resolve(t, d, "ann@contoso.com")
	v.Expire()
	if got := resolve(t, d, "ann@contoso.com")[0]; got.User != annID || len(got.Steps) != 2 || got.Steps[0].Response.Status != 401 {
		t.Errorf("look-up: got %+v", got)
	}
	v.Expire()
	if got := deliver(t, d, annID); got.Verdict != relay.Delivered {
		t.Errorf("look-up within an attempt: got %+v", got)
	}
	v.Expire()
	if got := deliver(t, d, annID); got.Verdict != relay.Delivered || len(got.Steps) != 2 {
		t.Errorf("message: got %+v", got)
	}
	if tokens, sent := len(v.Calls(teamstest.Token)), len(v.Direct()); tokens != 5 || sent != 2 {
		t.Errorf("%d tokens, %d messages", tokens, sent)
	}
}

// TestTokenIsNeverGood: what the vendor refuses with a new token, too, is not
// tried a third time.
func TestTokenIsNeverGood(t *testing.T) {
	refused := plugintest.Answer(401, `{"error":{"code":"InvalidAuthenticationToken","message":"x"}}`)
	for _, step := range []string{teamstest.Users, teamstest.Catalog, teamstest.Activity} {
		v := vendor(t)
		d := openBot(t, v)
		v.Fail(step, "", 9, refused)
		got := resolve(t, d, "ann@contoso.com")[0].Report
		if got.Verdict == "" {
			got = deliver(t, d, annID)
		}
		if got.Verdict != relay.DestinationRefused || got.Probe || len(v.Calls(step)) != 2 {
			t.Errorf("%s: %d calls, %+v", step, len(v.Calls(step)), got)
		}
	}
}

func TestOneRefreshForAll(t *testing.T) {
	v := vendor(t)
	d := openBot(t, v)
	deliver(t, d, annID)
	before := len(v.Calls(teamstest.Token))
	v.Expire()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if got := resolve(t, d, "ann@contoso.com")[0]; got.User != annID {
				t.Errorf("got %+v", got)
			}
			if got := deliver(t, d, annID); got.Verdict != relay.Delivered {
				t.Errorf("got %+v", got)
			}
		})
	}
	wg.Wait()
	if got := len(v.Calls(teamstest.Token)) - before; got != 2 {
		t.Errorf("%d tokens were fetched, want one for Graph and one for the connector", got)
	}
}

// TestRevokedSecret: deliveries that ask at once ask the vendor once.
func TestRevokedSecret(t *testing.T) {
	const many = 8
	v := vendor(t)
	v.Revoke()
	d := openBot(t, v)
	asked, release := make(chan bool, many), make(chan bool)
	v.Fail(teamstest.Token, "", 1, func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-release
		plugintest.Answer(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret `+teamstest.Secret+`"}`)(w, nil)
	})
	reports := make(chan relay.Report, many)
	for range many {
		go func() { reports <- deliver(t, d, annID) }()
	}
	<-asked
	for waiting() < many {
		runtime.Gosched()
	}
	close(release)
	for range many {
		got := <-reports
		if got.Verdict != relay.DestinationRefused || got.Probe || !strings.Contains(got.Error, "invalid_client") || !strings.Contains(got.Error, "make a new client secret") ||
			strings.Contains(got.Error, teamstest.Secret) {
			t.Errorf("got %+v", got)
		}
	}
	if calls := v.Calls(""); len(calls) != 1 {
		t.Errorf("%d calls: %v", len(calls), steps(v, 0))
	}
}

// waiting is how many goroutines wait for a token, or fetch it.
func waiting() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	n := 0
	for g := range strings.SplitSeq(string(stacks), "\n\n") {
		head, _, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "[select") && strings.Contains(g, "post.(*Token).Get(") {
			n++
		}
	}
	return n
}

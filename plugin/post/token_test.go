package post_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// desk hands out tokens that are good for an hour.
type desk struct {
	fetched atomic.Int32
	takes   time.Duration
	refuses bool
}

func (d *desk) fetch(ctx context.Context, _ *post.Calls) (string, time.Duration, *relay.Report) {
	n := d.fetched.Add(1)
	select {
	case <-time.After(d.takes):
	case <-ctx.Done():
		return "", 0, &relay.Report{Verdict: relay.Temporary, Error: "cancelled"}
	}
	if d.refuses {
		return "", 0, &relay.Report{Verdict: relay.DestinationRefused, Error: "wrong secret"}
	}
	return fmt.Sprint("token-number-", n), time.Hour, nil
}

func calls() *post.Calls { return post.New(post.Options{}).Calls(&relay.Masker{}) }

func TestTokenIsFetchedOnceAndAgainBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{takes: time.Second}
		token := post.NewToken(5*time.Minute, d.fetch)
		get := func() string {
			t.Helper()
			c := calls()
			value, failed := token.Get(t.Context(), c)
			if failed != nil {
				t.Fatal(failed.Error)
			}
			if got := c.Masker().Mask("the " + value); got != "the <secret>" {
				t.Errorf("the attempt's masker shows %q", got)
			}
			return value
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if got := get(); got != "token-number-1" {
					t.Errorf("got %s", got)
				}
			})
		}
		all.Wait()
		time.Sleep(54 * time.Minute)
		if got := get(); got != "token-number-1" {
			t.Errorf("before the margin: %s", got)
		}
		time.Sleep(2 * time.Minute)
		if got := get(); got != "token-number-2" {
			t.Errorf("within the margin: %s", got)
		}
		token.Drop("token-number-1") // somebody else has replaced it already
		if got := get(); got != "token-number-2" {
			t.Errorf("after an old one was dropped: %s", got)
		}
		token.Drop("token-number-2")
		if got := get(); got != "token-number-3" {
			t.Errorf("after it was dropped: %s", got)
		}
	})
}

func TestTokenFailureIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{takes: time.Second, refuses: true}
		token := post.NewToken(time.Minute, d.fetch)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, failed := token.Get(t.Context(), calls()); failed == nil || failed.Verdict != relay.DestinationRefused || failed.Error != "wrong secret" {
					t.Errorf("got %+v", failed)
				}
			})
		}
		all.Wait()
		if n := d.fetched.Load(); n != 1 {
			t.Errorf("wrong credentials were used %d times", n)
		}
	})
}

// Who fetches and runs out of time fails alone: the next one fetches.
func TestTokenOutlivesItsFetcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{takes: time.Second}
		token := post.NewToken(time.Minute, d.fetch)
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, failed := token.Get(short, calls()); failed == nil || failed.Verdict != relay.Temporary {
				t.Errorf("out of time: %+v", failed)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if value, failed := token.Get(t.Context(), calls()); failed != nil || value != "token-number-2" {
				t.Errorf("who waited: %s, %+v", value, failed)
			}
		})
		all.Wait()
	})
}

func TestTokenUse(t *testing.T) {
	d := &desk{}
	token := post.NewToken(time.Minute, d.fetch)
	bad := map[string]bool{"token-number-1": true}
	var used []string
	call := func(value string) (relay.Report, bool) {
		used = append(used, value)
		if bad[value] {
			return relay.Report{Verdict: relay.DestinationRefused, Error: "bad token"}, true
		}
		return relay.Report{Verdict: relay.Delivered}, false
	}
	if r := token.Use(t.Context(), calls(), call); r.Verdict != relay.Delivered {
		t.Errorf("with a token that was bad: %+v", r)
	}
	bad["token-number-2"], bad["token-number-3"] = true, true
	if r := token.Use(t.Context(), calls(), call); r.Verdict != relay.DestinationRefused {
		t.Errorf("with tokens that are all bad: %+v", r)
	}
	if got := strings.Join(used, " "); got != "token-number-1 token-number-2 token-number-2 token-number-3" {
		t.Errorf("used %s: a call is made once more, and no oftener", got)
	}
}

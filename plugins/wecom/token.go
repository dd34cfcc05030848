package wecom

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	// tokenLife is how long a token is good where the answer does not say (91039).
	tokenLife = 2 * time.Hour
	// tokenMargin is short: until a token has ended WeCom answers with the same
	// one.
	tokenMargin = time.Minute

	// refusalKept is how long a refused secret is not tried again: several wrong
	// ones ban the address for an hour (91039), and when the first refusal comes
	// back others may be about to ask.
	refusalKept = time.Minute
)

// app is what all destinations of one account share.
type app struct {
	*account
	client  *post.Client
	token   *post.Token
	refused plugin.Memory[reply] // what gettoken said of the credentials
}

func newApp(client *post.Client, a *account) *app {
	p := &app{account: a, client: client}
	p.token = post.NewToken(tokenMargin, func(ctx context.Context, c *post.Calls) (string, time.Duration, *relay.Report) {
		r, failed := p.getToken(ctx, c)
		return r.Token, r.lifetime(), failed
	})
	return p
}

// getToken asks for a token. The secret stands in the query, which no log shows.
func (p *app) getToken(ctx context.Context, c *post.Calls) (reply, *relay.Report) {
	const call, credentials = "gettoken", ""
	got, known := p.refused.Get(credentials)
	if !known {
		answer, err := c.Do(ctx, call, &plugin.Request{
			Method: http.MethodGet,
			URL:    p.endpoint(call, url.Values{"corpid": {p.CorpID}, "corpsecret": {p.Secret}}),
		})
		if err != nil {
			r := post.Harmless(err)
			return reply{}, &r
		}
		if got = read(answer); got.ok && got.Token != "" {
			return got, nil
		}
		if got.badCredentials() {
			p.refused.Put(credentials, got, refusalKept)
		}
	}
	r := got.harmless(time.Now())
	if known {
		r.Error += "; relay does not try it again within a minute"
	}
	return got, &r
}

// withToken makes a call with a token. What came of it judge says; a token that
// ended early is replaced, once.
func (p *app) withToken(ctx context.Context, c *post.Calls, call string, body []byte, judge func(reply, error) relay.Report) relay.Report {
	return p.token.Use(ctx, c, func(token string) (relay.Report, bool) {
		answer, err := c.Do(ctx, call, post.JSON(p.endpoint(call, url.Values{"access_token": {token}}), body))
		if err != nil {
			return judge(reply{}, err), false
		}
		got := read(answer)
		return judge(got, nil), got.badToken()
	})
}

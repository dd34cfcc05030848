package teams

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The application permissions at Graph, which an administrator grants.
const (
	readUsers   = "User.Read.All"
	readCatalog = "AppCatalog.Read.All"
	installSelf = "TeamsAppInstallation.ReadWriteSelfForUser.All"

	allPermissions = readUsers + ", " + readCatalog + " and " + installSelf
)

// graphCall is a call to Microsoft Graph. None of them sends anybody anything.
type graphCall struct {
	name   string // for the log
	needs  string // the permission
	method string
	path   string // and query, below graph_base
	body   []byte
}

// graph makes a call, and reads a good answer into out. Where there is none the
// report says why, and status is 0 or that of the answer.
func (b *bot) graph(ctx context.Context, calls *post.Calls, g graphCall, out any) (status int, failed *relay.Report) {
	r := b.account.graph.Use(ctx, calls, func(token string) (relay.Report, bool) {
		req := &plugin.Request{Method: g.method, URL: b.GraphBase + g.path, Body: g.body}
		if g.body != nil {
			req.Header = http.Header{"Content-Type": {"application/json"}}
		}
		a, err := calls.Do(ctx, g.name, post.Bearer(req, token))
		if err != nil {
			status = 0
			return post.Harmless(err), false
		}
		status = a.Status
		r := graphVerdict(a, time.Now())
		if status == http.StatusForbidden {
			r.Error += "; it needs the application permission " + g.needs + " with admin consent"
		}
		if r.Verdict == relay.Delivered && out != nil && json.Unmarshal(a.Body, out) != nil {
			r = relay.Report{Verdict: relay.Temporary, Error: "graph answered something that is not what was asked for: status " + post.StatusText(a.Status)}
		}
		return r, status == http.StatusUnauthorized
	})
	if r.Verdict == relay.Delivered {
		return status, nil
	}
	return status, &r
}

// graphVerdict is what an answer means in general ("Microsoft Graph error
// responses and resource types"). Codes other than those of a token are not
// documented call by call, so the status counts; but an answer without a code
// is not Graph's, and says nothing about a person.
func graphVerdict(a *post.Answer, now time.Time) relay.Report {
	code, message := fault(a.Body)
	r := post.ByStatus(a, now)
	if r.Verdict == relay.Delivered {
		return r
	}
	const bandwidth = 509 // Bandwidth Limit Exceeded
	switch {
	case a.Status == http.StatusLocked, a.Status == bandwidth, r.Verdict == relay.Ambiguous:
		r.Verdict, r.RetryAfter = relay.Temporary, post.WaitHint(a.Header, now)
	case a.Status == http.StatusUnauthorized: // a new token was refused as well
		r.Probe = false
	case code == "":
	case a.Status == http.StatusNotFound:
		r.Verdict, r.Probe = relay.RecipientRefused, false
	case r.Verdict == relay.DestinationRefused: // 403: a permission does not come by itself
		r.Probe = false
	}
	r.Error = worded("graph", code, message, r)
	return r
}

// filter is an OData filter as a query: property eq 'value'.
func filter(property, value string) string {
	text := property + " eq '" + strings.ReplaceAll(value, "'", "''") + "'"
	return "$filter=" + strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// list is how Graph answers a query.
type list[T any] struct {
	Value []T `json:"value"`
}

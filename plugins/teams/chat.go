package teams

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	// keepApp is short enough for an app that was deleted and published anew,
	// which has another id then.
	keepApp = time.Hour

	// chatTries is how many attempts wait for the chat of an app that was just
	// installed. With the pauses between them it is some minutes.
	chatTries = 10
)

// identified is anything of Graph's of which the id is all that counts.
type identified struct {
	ID string `json:"id"`
}

// chat is the id of a person's chat with the bot. The app is installed for the
// person where it is not, and anyway if install says so. person is an Entra
// object id or a user principal name; Graph takes both.
func (b *bot) chat(ctx context.Context, calls *post.Calls, person string, install bool, attempt int) (string, *relay.Report) {
	app, failed := b.catalogApp(ctx, calls)
	if failed != nil {
		return "", failed
	}
	base := "/users/" + url.PathEscape(person) + "/teamwork/installedApps"
	installation := ""
	if !install {
		if installation, failed = b.installation(ctx, calls, base, app); failed != nil {
			return "", failed
		}
	}
	if installation == "" {
		if failed = b.install(ctx, calls, base, app); failed != nil {
			return "", failed
		}
		if installation, failed = b.installation(ctx, calls, base, app); failed != nil {
			return "", failed
		}
	}
	if installation == "" {
		return "", &relay.Report{Verdict: relay.Temporary, Error: "the app was installed for the person, and graph does not list it yet"}
	}
	var chat identified
	status, failed := b.graph(ctx, calls, graphCall{
		name: "installedApps/chat", needs: installSelf, method: http.MethodGet, path: base + "/" + url.PathEscape(installation) + "/chat",
	}, &chat)
	switch {
	case failed != nil && status == http.StatusNotFound && failed.Verdict == relay.RecipientRefused && attempt < chatTries:
		failed.Verdict = relay.Temporary
		failed.Error += "; the chat of an app that was just installed takes a while"
		return "", failed
	case failed != nil:
		return "", failed
	case chat.ID == "":
		return "", &relay.Report{Verdict: relay.Temporary, Error: "graph answered a chat without an id"}
	}
	return chat.ID, nil
}

// catalogApp is the catalog's id of the Teams app.
func (b *bot) catalogApp(ctx context.Context, calls *post.Calls) (string, *relay.Report) {
	if id, ok := b.account.app.Get(b.AppID); ok {
		return id, nil
	}
	var all list[identified]
	_, failed := b.graph(ctx, calls, graphCall{
		name: "appCatalogs/teamsApps", needs: readCatalog, method: http.MethodGet, path: "/appCatalogs/teamsApps?" + filter("externalId", b.AppID),
	}, &all)
	switch {
	case failed != nil && (failed.Verdict == relay.RecipientRefused || failed.Verdict == relay.MessageRefused):
		failed.Verdict = relay.DestinationRefused // it was about no person and no message
		return "", failed
	case failed != nil:
		return "", failed
	case len(all.Value) == 0 || all.Value[0].ID == "":
		return "", &relay.Report{Verdict: relay.DestinationRefused,
			Error: "the organization's app catalog has no app with the manifest id " + b.AppID + "; publish the Teams app there, or set app_id to the id in its manifest"}
	}
	b.account.app.Put(b.AppID, all.Value[0].ID, keepApp)
	return all.Value[0].ID, nil
}

// installation is the id of the app's installation for a person, or empty.
func (b *bot) installation(ctx context.Context, calls *post.Calls, base, app string) (string, *relay.Report) {
	var all list[identified]
	_, failed := b.graph(ctx, calls, graphCall{
		name: "installedApps", needs: installSelf, method: http.MethodGet, path: base + "?$expand=teamsApp&" + filter("teamsApp/id", app),
	}, &all)
	if failed != nil || len(all.Value) == 0 {
		return "", failed
	}
	return all.Value[0].ID, nil
}

// install installs the app for a person. 409 says that it is there, perhaps
// since another delivery was quicker.
func (b *bot) install(ctx context.Context, calls *post.Calls, base, app string) *relay.Report {
	body, err := post.Encode(map[string]string{"teamsApp@odata.bind": b.graphItself() + "/appCatalogs/teamsApps/" + url.PathEscape(app)})
	if err != nil {
		return &relay.Report{Verdict: relay.MessageRefused, Error: err.Error()}
	}
	status, failed := b.graph(ctx, calls, graphCall{
		name: "installedApps/add", needs: installSelf, method: http.MethodPost, path: base, body: body,
	}, nil)
	switch {
	case failed == nil, status == http.StatusConflict:
		return nil
	case status == http.StatusForbidden && !failed.Probe:
		// That the permission is there, the list of apps has shown.
		failed.Verdict = relay.RecipientRefused
		failed.Error += "; or the person may not have the app (an app policy, no Teams licence)"
	case status == http.StatusNotFound:
		b.account.app.Drop(b.AppID) // it may be the app that is gone
	}
	return failed
}

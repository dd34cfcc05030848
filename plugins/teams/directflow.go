package teams

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// directFlow reaches people through a flow that posts to whom the request names
// as its recipient. Like every flow it answers 202 before it posts: an address
// that nobody has shows in its run history only.
type directFlow struct{ *flow }

// Account implements [plugin.Direct].
func (f *directFlow) Account() string { return "flow " + f.url }

// Resolve implements [plugin.Direct]: a flow is given the email itself.
func (f *directFlow) Resolve(_ context.Context, by string, people []relay.Person) []plugin.Match {
	out := make([]plugin.Match, len(people))
	for i, p := range people {
		if address, ok := email(p.Email); ok && by == plugin.ByEmail {
			out[i] = plugin.Matched(address, keepMatch)
		} else {
			out[i] = plugin.Unmatched(keepMiss, notEmail)
		}
	}
	return out
}

// recipient is the address for the flow. ids.teams may be an Entra object id,
// which mentions and bots take and the flow does not: then it is the email.
func recipient(d *plugin.Delivery) (string, bool) {
	if address, ok := email(d.User); ok {
		return address, true
	}
	if d.Recipient == nil {
		return "", false
	}
	return email(d.Recipient.Email)
}

// Compose implements [plugin.Destination].
func (f *directFlow) Compose(d *plugin.Delivery, r relay.Rendered) (*plugin.Request, error) {
	req, err := f.flow.Compose(d, r)
	if err != nil {
		return nil, err
	}
	address, _ := recipient(d) // Send refuses a delivery without
	req.Body, err = addressed(req.Body, address)
	return req, err
}

// addressed adds the recipient to a flow's message. One that a template wrote
// is replaced: each recipient has a delivery of their own.
func addressed(body []byte, address string) ([]byte, error) {
	var message map[string]json.RawMessage
	if err := json.Unmarshal(body, &message); err != nil {
		return nil, fmt.Errorf("the message is no JSON object: %w", err)
	}
	name, err := post.Encode(address)
	if err != nil {
		return nil, err
	}
	message["recipient"] = name
	if body, err = post.Encode(message); err != nil {
		return nil, err
	}
	return body, checkSize(body)
}

// Send implements [plugin.Destination].
func (f *directFlow) Send(ctx context.Context, d *plugin.Delivery, r *plugin.Request) relay.Report {
	if _, ok := recipient(d); !ok {
		return relay.Report{Verdict: relay.Unmatched,
			Error: "a flow takes an email or a user principal name; set ids.teams to one of them, or give the person an email"}
	}
	return f.flow.Send(ctx, d, r)
}

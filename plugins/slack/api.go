package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The methods of the Web API that relay calls.
const (
	lookupByEmail     = "users.lookupByEmail"
	conversationsOpen = "conversations.open"
	postMessage       = "chat.postMessage"
	authTest          = "auth.test"
)

// api is one app in one workspace, by the token that it has there.
type api struct {
	client *post.Client
	masker *relay.Masker
	base   string
	token  string
	chats  *plugin.Memory[string] // user → the id of the app's chat with them
}

// name tells accounts apart. It holds the token.
func (a *api) name() string { return a.base + " " + a.token }

// post is the request of a method that takes JSON.
func (a *api) post(method string, body []byte) *plugin.Request {
	return post.Bearer(post.JSON(a.base+"/"+method, body), a.token)
}

// get is the request of a method that takes no JSON.
func (a *api) get(method string, query url.Values) *plugin.Request {
	return post.Bearer(&plugin.Request{Method: http.MethodGet, URL: a.base + "/" + method + "?" + query.Encode()}, a.token)
}

// message is the request that posts a composed message, with the channel as its
// first key.
func (a *api) message(channel string, body []byte) *plugin.Request {
	return a.post(postMessage, append(addressed(channel), body[1:]...)) // body is an object with a key at least
}

// addressed is how the body of a message to a channel begins.
func addressed(channel string) []byte {
	quoted, _ := json.Marshal(channel) // a string always encodes
	return append(append([]byte(`{"channel":`), quoted...), ',')
}

// do makes a call of the attempt; what its answer means for the delivery is the
// reading's to say. Verdict Delivered is Slack's ok.
func (a *api) do(ctx context.Context, calls *post.Calls, method string, r *plugin.Request, read reading) (reply, relay.Report) {
	answer, err := calls.Do(ctx, method, r)
	switch {
	case err != nil && read.unsure == relay.Ambiguous:
		return reply{}, post.Failed(err)
	case err != nil:
		return reply{}, post.Harmless(err)
	}
	return read.answer(answer, time.Now())
}

// reply is as much as relay reads of the Web API's answers. A key of another
// type than expected stays empty and does not spoil the others.
type reply struct {
	OK       bool            `json:"ok"`
	Error    string          `json:"error"`
	Needed   string          `json:"needed"`
	Provided string          `json:"provided"`
	Channel  json.RawMessage `json:"channel"` // an object of conversations.open, an id of chat.postMessage
	TS       string          `json:"ts"`
	User     struct {
		ID      string `json:"id"`
		Deleted bool   `json:"deleted"`
		IsBot   bool   `json:"is_bot"`
	} `json:"user"`
	Metadata struct {
		Messages []string `json:"messages"`
	} `json:"response_metadata"`
}

// readReply reads as far as there is JSON: Slack's answer to a message repeats
// it behind ok, channel and ts, with every Chinese character as six bytes, so
// that a long one is longer than what is kept of an answer.
func readReply(body []byte) reply {
	keys := map[string]json.RawMessage{}
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return reply{}
	}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		var value json.RawMessage
		if err != nil || !ok || d.Decode(&value) != nil {
			break
		}
		keys[name] = value
	}
	var r reply
	whole, _ := json.Marshal(keys) // what was read as JSON encodes
	_ = json.Unmarshal(whole, &r)
	return r
}

package slacktest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// object is the arguments of a call.
type object map[string]json.RawMessage

func (o object) text(key string) string {
	var s string
	_ = json.Unmarshal(o[key], &s) // what is no string is as good as missing
	return s
}

// api is a method of the Web API: the token and its scope, then the arguments.
func (v *Vendor) api(scope string, method func(args object, body []byte) string) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, r *http.Request, body []byte) {
		v.mu.Lock()
		scopes := slices.Clone(v.scopes)
		v.mu.Unlock()
		w.Header().Set("X-OAuth-Scopes", strings.Join(scopes, ","))
		sent, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		args, fault := arguments(r, body)
		answer := ""
		switch {
		case !bearer:
			answer = wrong("not_authed")
		case v.Revoked():
			answer = wrong("token_revoked")
		case sent != Token:
			answer = wrong("invalid_auth")
		case scope != "" && !slices.Contains(scopes, scope):
			answer = fmt.Sprintf(`{"ok":false,"error":"missing_scope","needed":%q,"provided":%q}`, scope, strings.Join(scopes, ","))
		case fault != "":
			answer = wrong(fault)
		default:
			answer = method(args, body)
			if strings.HasSuffix(r.URL.Path, "/"+Post) {
				v.Wait(r, body)
			}
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write([]byte(answer))
	}
}

// arguments are those of the query, or of a JSON body where the method takes one.
func arguments(r *http.Request, body []byte) (object, string) {
	if r.Method == http.MethodGet {
		args := object{}
		for key, values := range r.URL.Query() {
			args[key], _ = json.Marshal(values[0])
		}
		return args, ""
	}
	var args object
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "":
		return nil, "missing_post_type"
	case kind != "application/json" || strings.HasSuffix(r.URL.Path, "/"+Lookup): // which takes forms only
		return nil, "invalid_post_type"
	case !json.Valid(body):
		return nil, "invalid_json"
	case json.Unmarshal(body, &args) != nil || args == nil:
		return nil, "json_not_object"
	}
	return args, ""
}

func wrong(code string) string { return fmt.Sprintf(`{"ok":false,"error":%q}`, code) }

// chat is the id of the bot's chat with a user. It holds the user's id, so that
// calls about one person can be told from others.
func chat(user string) string { return "D" + user }

func (v *Vendor) lookup(args object, _ []byte) string {
	email := args.text("email")
	if email == "" {
		return wrong("invalid_arguments")
	}
	id := v.Find(func(_ string, p relay.Person) bool { return strings.EqualFold(p.Email, email) })
	if id == "" {
		return wrong("users_not_found")
	}
	return fmt.Sprintf(`{"ok":true,"user":{"id":%q,"team_id":"T0STANDIN","deleted":false,"is_bot":false,"profile":{"email":%q}}}`, id, email)
}

func (v *Vendor) open(args object, _ []byte) string {
	user := args.text("users")
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case user == "":
		return wrong("users_list_not_supplied")
	case !v.Knows(user):
		return wrong("user_not_found")
	case v.opened[user]:
		return fmt.Sprintf(`{"ok":true,"no_op":true,"already_open":true,"channel":{"id":%q}}`, chat(user))
	}
	v.opened[user] = true
	return fmt.Sprintf(`{"ok":true,"channel":{"id":%q}}`, chat(user))
}

func (v *Vendor) post(args object, body []byte) string {
	fault, detail := refusal(args)
	if fault != "" {
		return fmt.Sprintf(`{"ok":false,"error":%q,"response_metadata":{"messages":[%q]}}`, fault, detail)
	}
	to := args.text("channel")
	user := strings.TrimPrefix(to, "D")
	v.mu.Lock()
	open := v.opened[user]
	v.mu.Unlock()
	message := plugintest.Sent{Body: string(body)}
	switch {
	case to == ChannelID, to == ChannelName:
		to = ChannelID
	case user != to && open:
		message.User = user
	default:
		return wrong("channel_not_found")
	}
	return fmt.Sprintf(`{"ok":true,"channel":%q,"ts":"1503435956.%06d","message":{"type":"message","subtype":"bot_message"}}`, to, v.Show(message))
}

func (v *Vendor) webhook(w http.ResponseWriter, r *http.Request, body []byte) {
	refuse := func(status int, word string) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(word))
	}
	var args object
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method != http.MethodPost, kind != "application/json", json.Unmarshal(body, &args) != nil, args == nil:
		refuse(http.StatusBadRequest, "invalid_payload")
		return
	}
	if fault, _ := refusal(args); fault != "" {
		refuse(http.StatusBadRequest, fault)
		return
	}
	v.Show(plugintest.Sent{Body: string(body)})
	refuse(http.StatusOK, "ok")
}

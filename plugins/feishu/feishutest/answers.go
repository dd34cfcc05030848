package feishutest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// Lengths in bytes, and how many people one look-up takes.
const (
	maxText  = 150_000
	maxOther = 30_000
	maxHook  = 20_000
	maxUUID  = 50 // characters
	maxBatch = 50
)

// refused is an error of the OpenAPI, which comes with 400.
func refused(code int, msg string) http.HandlerFunc {
	return plugintest.Answer(http.StatusBadRequest, fmt.Sprintf(`{"code":%d,"msg":%q,"error":{"log_id":"2026112108000001"}}`, code, msg))
}

func isJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}

// authorized is what refuses a request without a token that works, or nil.
func (v *Vendor) authorized(r *http.Request) http.HandlerFunc {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case !ok:
		return refused(99991661, "Missing access token for authorization")
	case !v.Takes(token):
		return refused(99991663, "Invalid access token for authorization")
	}
	return nil
}

// tenantAccessToken hands out the same token as long as it works. Its errors
// come with 200.
func (v *Vendor) tenantAccessToken(w http.ResponseWriter, r *http.Request, body []byte) {
	answer := func(body string) { plugintest.Answer(http.StatusOK, body)(w, r) }
	var m struct {
		ID     string `json:"app_id"`
		Secret string `json:"app_secret"`
	}
	switch err := json.Unmarshal(body, &m); {
	case err != nil || !isJSON(r) || m.ID != AppID:
		answer(`{"code":10003,"msg":"invalid param"}`)
		return
	case m.Secret != AppSecret || v.Revoked():
		answer(`{"code":10015,"msg":"app secret invalid"}`)
		return
	}
	answer(fmt.Sprintf(`{"code":0,"msg":"ok","tenant_access_token":%q,"expire":7200}`, v.Token()))
}

func (v *Vendor) byEmail(address string) string {
	return v.Find(func(_ string, p relay.Person) bool { return p.Email != "" && strings.EqualFold(p.Email, address) })
}

// byMobile takes a number as the look-up wants it: without +86.
func (v *Vendor) byMobile(number string) string {
	return v.Find(func(_ string, p relay.Person) bool {
		return p.Phone != "" && strings.TrimPrefix(strings.NewReplacer(" ", "", "-", "").Replace(p.Phone), "+86") == number
	})
}

// batchGetID lists everybody who was asked for; who is not found has no user_id.
func (v *Vendor) batchGetID(w http.ResponseWriter, r *http.Request, body []byte) {
	if refuse := v.authorized(r); refuse != nil {
		refuse(w, r)
		return
	}
	var m struct{ Emails, Mobiles []string }
	switch err := json.Unmarshal(body, &m); {
	case err != nil || !isJSON(r) || r.URL.Query().Get("user_id_type") != "open_id":
		refused(40001, "param error")(w, r)
		return
	case len(m.Emails)+len(m.Mobiles) == 0, len(m.Emails) > maxBatch, len(m.Mobiles) > maxBatch:
		refused(99992402, "field validation failed")(w, r)
		return
	}
	type user struct {
		ID     string `json:"user_id,omitempty"`
		Email  string `json:"email,omitempty"`
		Mobile string `json:"mobile,omitempty"`
	}
	list := []user{}
	for _, address := range m.Emails {
		list = append(list, user{ID: v.byEmail(address), Email: address})
	}
	for _, number := range m.Mobiles {
		list = append(list, user{ID: v.byMobile(number), Mobile: number})
	}
	raw, _ := json.Marshal(list) // strings always encode
	plugintest.Answer(http.StatusOK, fmt.Sprintf(`{"code":0,"msg":"success","data":{"user_list":%s}}`, raw))(w, r)
}

// createMessage sends a message once for each uuid.
func (v *Vendor) createMessage(w http.ResponseWriter, r *http.Request, body []byte) {
	if refuse := v.authorized(r); refuse != nil {
		refuse(w, r)
		return
	}
	if code, msg := v.refuseMessage(r, body); code != 0 {
		refused(code, msg)(w, r)
		return
	}
	var m struct {
		Receiver string `json:"receive_id"`
		UUID     string
	}
	_ = json.Unmarshal(body, &m) // refuseMessage read it
	v.mu.Lock()
	id := v.messages[m.UUID]
	if id == "" {
		id = fmt.Sprint("om_", v.Show(plugintest.Sent{User: m.Receiver, Body: string(body)}))
	}
	if m.UUID != "" {
		v.messages[m.UUID] = id
	}
	v.mu.Unlock()
	v.Wait(r, body)
	plugintest.Answer(http.StatusOK, fmt.Sprintf(`{"code":0,"msg":"success","data":{"message_id":%q,"chat_id":"oc_1","create_time":"1795248000000"}}`, id))(w, r)
}

// mention finds whom a card mentions.
var mention = regexp.MustCompile(`<at (id|email)=([^>]*)>`)

// refuseMessage is the code for what is wrong with a message, or 0.
func (v *Vendor) refuseMessage(r *http.Request, body []byte) (code int, msg string) {
	var m struct {
		Receiver string `json:"receive_id"`
		Type     string `json:"msg_type"`
		Content  *string
		UUID     string
	}
	kind := r.URL.Query().Get("receive_id_type")
	switch {
	case json.Unmarshal(body, &m) != nil, !isJSON(r), m.Content == nil: // also where content is no string
		return 99992402, "field validation failed"
	case len([]rune(m.UUID)) > maxUUID:
		return 230001, "uuid is too long"
	case !slices.Contains([]string{"open_id", "union_id", "user_id"}, kind), (kind == "open_id") != strings.HasPrefix(m.Receiver, "ou_"), (kind == "union_id") != strings.HasPrefix(m.Receiver, "on_"):
		return 230034, "the receive_id is invalid"
	case !v.Knows(m.Receiver):
		return 99992351, "not a valid open_id"
	}
	limit, needed := maxOther, ""
	switch m.Type {
	case "text":
		limit, needed = maxText, "text"
	case "image":
		needed = "image_key"
	case "interactive", "post", "file", "audio", "media", "sticker", "share_chat", "share_user", "system":
	default:
		return 230001, "invalid msg_type"
	}
	var content map[string]any
	switch {
	case len(body) > limit:
		return 230025, "the message content is too long"
	case json.Unmarshal([]byte(*m.Content), &content) != nil, needed != "" && content[needed] == nil, m.Type == "post" && content["post"] != nil:
		return 230001, "invalid content"
	case m.Type == "interactive" && content["elements"] == nil && content["body"] == nil && content["data"] == nil:
		return 230099, "Failed to create card content, ext=ErrCode: 200621; ErrMsg: parse card json err"
	}
	for _, at := range mention.FindAllStringSubmatch(*m.Content, -1) {
		known := v.Knows(at[2])
		if at[1] == "email" {
			known = v.byEmail(at[2]) != ""
		}
		if m.Type == "interactive" && !known {
			return 230099, "Failed to create card content, ext=ErrCode: 100290; ErrMsg: invalid person"
		}
	}
	return 0, ""
}

// hook takes what a custom bot takes. It has no deduplication key.
func (v *Vendor) hook(w http.ResponseWriter, r *http.Request, body []byte) {
	var m struct {
		Type          string `json:"msg_type"`
		Card, Content map[string]any
	}
	answer := func(body string) { plugintest.Answer(http.StatusOK, body)(w, r) }
	switch err := json.Unmarshal(body, &m); {
	case r.PathValue("token") != HookToken:
		answer(`{"code":19001,"data":{},"msg":"param invalid: incoming webhook access token invalid"}`)
		return
	case err != nil || !isJSON(r) || len(body) > maxHook:
		answer(`{"code":9499,"data":{},"msg":"Bad Request"}`)
		return
	case m.Type == "interactive" && m.Card == nil, m.Type != "interactive" && m.Content == nil:
		answer(`{"code":19002,"data":{},"msg":"params error, msg_type need"}`)
		return
	}
	v.Show(plugintest.Sent{Body: string(body)})
	answer(`{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}`)
}

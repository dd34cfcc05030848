// Package wecomtest stands in for WeCom in tests: the server API as a self-built
// app uses it, and the webhook of a group's robot. It takes and refuses what
// WeCom's documents say it takes and refuses.
package wecomtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// The credentials that the stand-in takes, and the names of its calls.
const (
	CorpID  = "ww0123456789abcdef"
	AgentID = 1000002
	Secret  = "app-Secret_0123456789-abcdefghijklmnopqrstu"
	key     = "693a91f6-7aaa-4bc4-97a0-0ec2sifa5aaa"

	GetToken = "gettoken"
	ByEmail  = "user/get_userid_by_email"
	ByMobile = "user/getuserid"
	Send     = "message/send"
	Webhook  = "webhook/send"
)

// Vendor is the stand-in. An email is the member's enterprise mailbox, as long
// as KeepEmailsAs says nothing else. Its methods may be called concurrently.
type Vendor struct {
	*plugintest.Vendor

	mu        sync.Mutex // guards the fields below
	emailType int
	seen      map[string]seen // by the content of the message
}

var _ plugintest.DirectVendor = (*Vendor)(nil)

// seen is a message that a check for duplicates remembers.
type seen struct {
	id string
	at time.Time
}

// New starts a stand-in that ends with its test.
func New(t testing.TB) *Vendor {
	v := &Vendor{Vendor: plugintest.NewVendor(t), emailType: 1, seen: map[string]seen{}}
	v.Handle(GetToken, "GET /cgi-bin/gettoken", v.getToken)
	v.Handle(ByEmail, "POST /cgi-bin/user/get_userid_by_email", v.withToken(v.byEmail))
	v.Handle(ByMobile, "POST /cgi-bin/user/getuserid", v.withToken(v.byMobile))
	v.Handle(Send, "POST /cgi-bin/message/send", v.withToken(v.send))
	v.Handle(Webhook, "POST /cgi-bin/webhook/send", v.webhook)
	return v
}

// Entry implements [plugintest.DirectVendor].
func (v *Vendor) Entry() string {
	return fmt.Sprintf(`{"corp_id": %q, "agent_id": %d, "secret": %q, "api_base": %q}`, CorpID, AgentID, Secret, v.URL)
}

// Target implements [plugintest.DirectVendor].
func (v *Vendor) Target() string {
	return fmt.Sprintf(`{"url": "%s/cgi-bin/webhook/send?key=%s"}`, v.URL, key)
}

// KeepEmailsAs says which of a member's addresses the emails are: 1, the
// enterprise mailbox, or 2, the personal one.
func (v *Vendor) KeepEmailsAs(emailType int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.emailType = emailType
}

// Steps implements [plugintest.DirectVendor], for a person with an email.
func (v *Vendor) Steps() []string { return []string{GetToken, ByEmail, Send} }

// Throttle implements [plugintest.DirectVendor]. Of WeCom's two codes it
// answers the one that means no wait of a minute.
func (v *Vendor) Throttle(step string, times int) {
	v.Fail(step, "", times, Code(45033, "api concurrent out of limit"))
}

// Break implements [plugintest.DirectVendor].
func (v *Vendor) Break(step, match string, times int) {
	v.Fail(step, match, times, Code(-1, "system busy"))
}

// Revoke makes the secret and every token stop working.
func (v *Vendor) Revoke() {
	v.Expire()
	v.Vendor.Revoke()
}

// Code is WeCom's answer with a code: 200, and words that nobody should read.
func Code(code int, words string) http.HandlerFunc {
	return plugintest.Answer(http.StatusOK, fmt.Sprintf(
		`{"errcode":%d,"errmsg":"%s, hint: [1729], from ip: 203.0.113.7, more info at https://open.work.weixin.qq.com/devtool/query?e=%d"}`, code, words, code))
}

func answer(w http.ResponseWriter, r *http.Request, fields map[string]any) {
	fields["errcode"], fields["errmsg"] = 0, "ok"
	body, _ := json.Marshal(fields) // plain data always encodes
	plugintest.Answer(http.StatusOK, string(body))(w, r)
}

// getToken answers with the token that is good, as WeCom does until it ends.
func (v *Vendor) getToken(w http.ResponseWriter, r *http.Request, _ []byte) {
	switch q := r.URL.Query(); {
	case q.Get("corpid") == "":
		Code(41002, "corpid missing")(w, r)
	case q.Get("corpsecret") == "":
		Code(41004, "corpsecret missing")(w, r)
	case q.Get("corpid") != CorpID:
		Code(40013, "invalid corpid")(w, r)
	case q.Get("corpsecret") != Secret || v.Revoked():
		Code(40001, "invalid credential")(w, r)
	default:
		answer(w, r, map[string]any{"access_token": v.Token(), "expires_in": 7200})
	}
}

// withToken is a call that takes JSON and a token.
func (v *Vendor) withToken(next func(w http.ResponseWriter, r *http.Request, body []byte)) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, r *http.Request, body []byte) {
		token := r.URL.Query().Get("access_token")
		switch {
		case token == "":
			Code(41001, "access_token missing")(w, r)
		case !v.Takes(token):
			Code(42001, "access_token expired")(w, r)
		case !isJSON(r, body):
			Code(40058, "json decode error")(w, r)
		default:
			next(w, r, body)
		}
	}
}

func isJSON(r *http.Request, body []byte) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json" && json.Valid(body)
}

func (v *Vendor) byEmail(w http.ResponseWriter, r *http.Request, body []byte) {
	var q struct {
		Email string `json:"email"`
		Type  int    `json:"email_type"`
	}
	if json.Unmarshal(body, &q) != nil || strings.Count(q.Email, "@") != 1 {
		Code(60105, "invalid email")(w, r)
		return
	}
	v.mu.Lock()
	kept := max(q.Type, 1) == v.emailType
	v.mu.Unlock()
	v.found(w, r, func(_ string, p relay.Person) bool { return kept && strings.EqualFold(p.Email, q.Email) })
}

// byMobile takes numbers of mainland China without the country.
func (v *Vendor) byMobile(w http.ResponseWriter, r *http.Request, body []byte) {
	var q struct {
		Mobile string `json:"mobile"`
	}
	if json.Unmarshal(body, &q) != nil || len(q.Mobile) < 5 || len(q.Mobile) > 32 {
		Code(60103, "invalid mobile")(w, r)
		return
	}
	v.found(w, r, func(_ string, p relay.Person) bool {
		return p.Phone != "" && strings.TrimPrefix(p.Phone, "+86") == q.Mobile
	})
}

func (v *Vendor) found(w http.ResponseWriter, r *http.Request, is func(id string, p relay.Person) bool) {
	if id := v.Find(is); id != "" {
		answer(w, r, map[string]any{"userid": id})
		return
	}
	Code(46004, "user not exist")(w, r)
}

// message is what is looked at of a message.
type message struct {
	To       string          `json:"touser"`
	Party    string          `json:"toparty"`
	Tag      string          `json:"totag"`
	Agent    json.RawMessage `json:"agentid"`
	Type     string          `json:"msgtype"`
	Check    int             `json:"enable_duplicate_check"`
	Interval int             `json:"duplicate_check_interval"`
}

func (v *Vendor) send(w http.ResponseWriter, r *http.Request, body []byte) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		Code(40058, "json decode error")(w, r)
		return
	}
	if code := refuse(m, body); code != 0 {
		Code(code, "invalid parameter")(w, r)
		return
	}
	id, user := v.take(m, string(body))
	v.Wait(r, body)
	if id == "" {
		Code(81013, "user & party & tag all invalid: "+user)(w, r)
		return
	}
	answer(w, r, map[string]any{"msgid": id, "invaliduser": "", "invalidparty": "", "invalidtag": "", "unlicenseduser": ""})
}

// refuse is the code of what is wrong with a message.
func refuse(m message, body []byte) int {
	code := content(body, m.Type, 2048)
	switch {
	case m.To == "":
		return 82001
	case m.Party != "" || m.Tag != "" || strings.ContainsAny(m.To, "|@"): // relay never reaches more than one
		return 40032
	case string(m.Agent) != fmt.Sprint(AgentID): // a number, not one in a string
		return 40056
	case m.Check != 0 && (m.Interval < 1 || m.Interval > 4*60*60):
		return 40058
	}
	return code
}

// content is the code of what is wrong with the object that msgtype names. Of
// text WeCom would cut what is too long; the stand-in refuses it.
func content(body []byte, kind string, limit int) int {
	var m map[string]json.RawMessage
	var o struct {
		Content string `json:"content"`
	}
	switch {
	case json.Unmarshal(body, &m) != nil || kind == "":
		return 40008
	case json.Unmarshal(m[kind], &o) != nil:
		return 40035
	case kind != "text" && kind != "markdown":
		return 0
	case o.Content == "":
		return 44004
	case len(o.Content) > limit:
		return 45002
	}
	return 0
}

// take shows a message to its recipient, unless it was shown before. Without an
// id nobody has the userid, whose letter case does not matter.
func (v *Vendor) take(m message, body string) (id, user string) {
	known := v.Find(func(id string, _ relay.Person) bool { return strings.EqualFold(id, m.To) })
	if known == "" {
		return "", strings.ToLower(m.To)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	before, again := v.seen[body]
	if again && m.Check == 1 && time.Since(before.at) < time.Duration(m.Interval)*time.Second {
		return before.id, known // what WeCom answers is not documented
	}
	id = rand.Text()
	v.seen[body] = seen{id, time.Now()}
	v.Show(plugintest.Sent{User: known, Body: body})
	return id, known
}

// webhook is the robot of a group.
func (v *Vendor) webhook(w http.ResponseWriter, r *http.Request, body []byte) {
	var m message
	switch err := json.Unmarshal(body, &m); {
	case r.URL.Query().Get("key") != key:
		Code(93000, "invalid webhook url")(w, r)
	case err != nil || !isJSON(r, body):
		Code(40058, "json decode error")(w, r)
	default:
		limit := 4096
		if m.Type == "text" {
			limit = 2048
		}
		if code := content(body, m.Type, limit); code != 0 {
			Code(code, "invalid parameter")(w, r)
			return
		}
		v.Show(plugintest.Sent{Body: string(body)})
		_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

package feishu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// bot is a custom bot of the vendor's, as far as the documents tell: it
// refuses what they say is refused, with the codes that they give.
type bot struct {
	*httptest.Server
	secret, keyword string
	members         []string         // open_ids that may be mentioned
	now             func() time.Time // the vendor's clock

	mu   sync.Mutex // guards the fields below
	got  []map[string]any
	told []int // the codes
}

const token = "f99fed8d-9b01-4dfe-ab56-0123456789ab"

func newBot(t testing.TB) *bot {
	b := &bot{now: time.Now, members: []string{"ou_ann", "gfa21d92"}}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *bot) url() string { return b.URL + hookPath + token }

func (b *bot) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	code, text := b.judge(r, body)
	var message map[string]any
	_ = json.Unmarshal(body, &message)
	b.mu.Lock()
	b.got, b.told = append(b.got, message), append(b.told, code)
	b.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Date", b.now().UTC().Format(http.TimeFormat))
	if code == 0 {
		_, _ = io.WriteString(w, `{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}`)
		return
	}
	fmt.Fprintf(w, `{"code":%d,"data":{},"msg":%q}`, code, text)
}

func (b *bot) judge(r *http.Request, body []byte) (int, string) {
	var m struct {
		Timestamp, Sign string
		MsgType         string `json:"msg_type"`
		Card            map[string]any
		Content         map[string]any
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != hookPath+token:
		return 19001, "param invalid: incoming webhook access token invalid"
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"), len(body) > 20000, json.Unmarshal(body, &m) != nil:
		return 9499, "Bad Request"
	case b.secret != "" && !b.signed(m.Timestamp, m.Sign):
		return 19021, "sign match fail or timestamp is not within one hour from current time"
	case b.secret == "" && m.Sign != "":
		return 9499, "Bad Request" // the documents do not say; relay has no reason to sign
	}
	var texts []string
	switch m.MsgType {
	case "text":
		text, _ := m.Content["text"].(string)
		texts = append(texts, text)
	case "interactive":
		found := cardOf{bot: b}
		found.walk("", m.Card)
		switch {
		case m.Card == nil || m.Card["schema"] != "2.0" || found.fault != "":
			return 11246, "card content failed; ErrCode: " + found.fault
		case found.count > 180: // what was seen to pass
			return 11310, "element exceeds the limit"
		}
		texts = found.texts
	case "post", "image", "share_chat":
	default:
		return 19002, "params error, msg_type need"
	}
	if b.keyword != "" && !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, b.keyword) }) {
		return 19024, "Key Words Not Found"
	}
	return 0, ""
}

func (b *bot) signed(timestamp, sign string) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || b.now().Sub(time.Unix(seconds, 0)).Abs() > time.Hour {
		return false
	}
	mac := hmac.New(sha256.New, []byte(fmt.Sprintf("%d\n%s", seconds, b.secret)))
	want := base64.StdEncoding.EncodeToString(mac.Sum([]byte{}))
	return hmac.Equal([]byte(sign), []byte(want))
}

// cardOf walks a card.
type cardOf struct {
	bot   *bot
	count int
	texts []string
	fault string
}

func (c *cardOf) walk(key string, v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			c.walk(key, item)
		}
	case map[string]any:
		if tag, ok := v["tag"].(string); ok {
			c.element(tag, v)
		}
		for k, item := range v {
			c.walk(k, item)
		}
	}
}

func (c *cardOf) element(tag string, e map[string]any) {
	c.count++
	content, _ := e["content"].(string)
	switch tag {
	case "plain_text":
		c.texts = append(c.texts, content)
	case "markdown":
		if content == "" {
			c.fault = "200550"
		}
		for _, id := range mentionTag.FindAllStringSubmatch(content, -1) {
			if !slices.Contains(c.bot.members, id[1]) {
				c.fault = "100290"
			}
		}
		c.texts = append(c.texts, hidden.ReplaceAllString(content, ""))
	case "column_set", "column", "hr":
	case "button":
		text, _ := e["text"].(map[string]any)
		label, _ := text["content"].(string)
		if n := len([]rune(label)); n == 0 || n > 100 || e["behaviors"] == nil {
			c.fault = "200550"
		}
	default: // note, action and what else card JSON 2.0 does not have
		c.fault = "200861"
	}
}

// last is the newest message, and how many there were.
func (b *bot) last() (map[string]any, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		return nil, 0
	}
	return b.got[len(b.got)-1], len(b.got)
}

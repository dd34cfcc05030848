package discordtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/relay-sidecar/relay/plugin/plugintest"
)

var (
	userAgent = regexp.MustCompile(`^DiscordBot \(https://[^ ,]+, [^ ]+\)$`)
	snowflake = regexp.MustCompile(`^[1-9][0-9]{0,19}$`)
)

// fault is the body of an error.
type fault struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// reply writes an answer, with the headers that Discord's have.
func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-RateLimit-Limit", "5")
	w.Header().Set("X-RateLimit-Remaining", "4")
	w.Header().Set("X-RateLimit-Reset-After", "1.000")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left does not matter
}

// refused is what every call is refused for; nil: nothing.
func refused(r *http.Request, method string) (status int, body any) {
	switch {
	case !userAgent.MatchString(r.UserAgent()):
		return http.StatusForbidden, fault{40333, "internal network error"}
	case r.Method != method:
		return http.StatusMethodNotAllowed, fault{0, "405: Method Not Allowed"}
	case method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
		return http.StatusBadRequest, fault{50035, "Invalid Form Body"}
	}
	return 0, nil
}

// bot is a call with the bot's token.
func (v *Vendor) bot(method string, call func(*http.Request, []byte) (int, any)) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, r *http.Request, body []byte) {
		status, answer := refused(r, method)
		switch {
		case answer != nil:
		case v.Revoked() || r.Header.Get("Authorization") != "Bot "+Token:
			status, answer = http.StatusUnauthorized, fault{0, "401: Unauthorized"}
		default:
			status, answer = call(r, body)
			if r.PathValue("channel") != "" {
				v.Wait(r, body)
			}
		}
		reply(w, status, answer)
	}
}

// channelOf is the id of the bot's channel with a user. It holds the user's id,
// so that calls about one person can be told from others.
func channelOf(user string) string { return "9" + user }

func (v *Vendor) createDM(_ *http.Request, body []byte) (int, any) {
	var sent struct {
		RecipientID string `json:"recipient_id"`
	}
	if json.Unmarshal(body, &sent) != nil || !snowflake.MatchString(sent.RecipientID) {
		return http.StatusBadRequest, fault{50035, "Invalid Form Body"}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.Knows(sent.RecipientID) {
		return http.StatusBadRequest, fault{50033, "Invalid Recipient(s)"}
	}
	v.opened[sent.RecipientID] = true
	return http.StatusOK, map[string]any{"id": channelOf(sent.RecipientID), "type": 1, "recipients": []any{map[string]string{"id": sent.RecipientID}}}
}

func (v *Vendor) createMessage(r *http.Request, body []byte) (int, any) {
	var sent struct {
		Nonce   string `json:"nonce"`
		Enforce bool   `json:"enforce_nonce"`
	}
	if why := Fault(body); why != "" {
		return http.StatusBadRequest, fault{50035, why}
	}
	if json.Unmarshal(body, &sent) != nil || len(sent.Nonce) > 25 {
		return http.StatusBadRequest, fault{50035, "Invalid Form Body"}
	}
	channel := r.PathValue("channel")
	user := strings.TrimPrefix(channel, "9")
	v.mu.Lock()
	defer v.mu.Unlock()
	if user == channel || !v.opened[user] {
		return http.StatusNotFound, fault{10003, "Unknown Channel"}
	}
	id := v.nonces[sent.Nonce]
	if id == "" || !sent.Enforce {
		id = v.nextID()
		v.Show(plugintest.Sent{User: user, Body: string(body)})
	}
	if sent.Enforce && sent.Nonce != "" {
		v.nonces[sent.Nonce] = id
	}
	return http.StatusOK, map[string]any{"id": id, "channel_id": channel, "nonce": sent.Nonce}
}

// nextID is the id of a new message. The caller holds the lock.
func (v *Vendor) nextID() string {
	v.last++
	return fmt.Sprintf("13000000000000%05d", v.last)
}

func (v *Vendor) webhook(w http.ResponseWriter, r *http.Request, body []byte) {
	status, answer := refused(r, http.MethodPost)
	if why := Fault(body); answer == nil && why != "" {
		status, answer = http.StatusBadRequest, fault{50035, why}
	}
	if answer != nil {
		reply(w, status, answer)
		return
	}
	v.mu.Lock()
	id := v.nextID()
	v.Show(plugintest.Sent{Body: string(body)})
	v.mu.Unlock()
	if r.URL.Query().Get("wait") != "true" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	reply(w, http.StatusOK, map[string]any{"id": id, "channel_id": "1300000000000000009"})
}

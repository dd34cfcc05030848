package slack

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// class is what kind of thing an error code of the Web API complains about.
type class int

const (
	unknown    class = iota
	passing          // try again
	exhausted        // try again much later
	failed           // Slack failed, and part of it may have happened
	badAccess        // the token, its scopes, the workspace
	badMessage       // what was sent
	badPlace         // the person or the channel
)

// exhaustedWait is the least wait where a workspace has used up its messages or
// is being moved: Slack gives no hint with these.
const exhaustedWait = time.Hour

// classes are the codes of the methods that relay calls and those common to all
// (docs.slack.dev, each method's "Errors").
func classes() map[string]class {
	table := map[string]class{}
	for c, codes := range map[class]string{
		passing:   "ratelimited rate_limited service_unavailable request_timeout team_added_to_org",
		exhausted: "org_login_required message_limit_exceeded",
		failed:    "internal_error fatal_error",
		badAccess: "not_authed invalid_auth account_inactive token_revoked token_expired missing_scope not_allowed_token_type no_permission " +
			"access_denied accesslimited two_factor_setup_required enterprise_is_restricted is_bot team_access_not_granted ekm_access_denied " +
			"app_access_restricted",
		badMessage: "invalid_arg_name invalid_arguments invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type " +
			"invalid_json json_not_object unknown_method deprecated_endpoint method_deprecated upgrade_required " +
			"users_list_not_supplied not_enough_users too_many_users " +
			"no_text invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long too_many_attachments too_many_contact_cards " +
			"attachment_payload_limit_exceeded markdown_text_conflict as_user_not_supported missing_file_data " +
			"duplicate_message_not_found duplicate_channel_not_found",
		badPlace: "users_not_found user_not_found user_disabled user_not_visible channel_not_found invalid_user_combination " +
			"method_not_supported_for_channel_type app_cannot_join_channel not_in_channel is_archived messages_tab_disabled " +
			"cannot_reply_to_message team_not_found send_on_behalf_not_allowed",
	} {
		for code := range strings.FieldsSeq(codes) {
			table[code] = c
		}
	}
	return table
}

var known = classes()

// classOf knows the families of codes, too.
func classOf(code string) class {
	if c, ok := known[code]; ok {
		return c
	}
	switch {
	case strings.HasPrefix(code, "restricted_action"), strings.HasPrefix(code, "slack_connect_") && strings.HasSuffix(code, "_blocked"):
		return badPlace
	case strings.HasPrefix(code, "metadata_"), strings.HasPrefix(code, "invalid_metadata_"):
		return badMessage
	}
	return unknown
}

// reading is what the classes mean for one kind of call.
type reading struct {
	unsure, message, place relay.Verdict
	// probe: who is in the channel and what may be posted there is changed in
	// Slack, without a change of relay's settings.
	probe bool
}

var (
	lookingUp = reading{unsure: relay.Temporary, message: relay.Temporary, place: relay.Temporary} // find knows who is unmatched
	opening   = reading{unsure: relay.Temporary, message: relay.MessageRefused, place: relay.RecipientRefused}
	toPerson  = reading{unsure: relay.Ambiguous, message: relay.MessageRefused, place: relay.RecipientRefused}
	toChannel = reading{unsure: relay.Ambiguous, message: relay.MessageRefused, place: relay.DestinationRefused, probe: true}
)

// answer reads an answer of the Web API, where 200 holds errors too and the
// code counts before the status.
func (k reading) answer(a *post.Answer, now time.Time) (reply, relay.Report) {
	got := readReply(a.Body)
	switch {
	case a.Status == http.StatusOK && got.OK:
		return got, relay.Report{Verdict: relay.Delivered}
	case a.Status == http.StatusTooManyRequests, got.Error == "":
		return got, k.status(a, now)
	}
	r := relay.Report{Error: got.words()}
	switch classOf(got.Error) {
	case exhausted:
		r.Verdict, r.RetryAfter = relay.Temporary, max(exhaustedWait, post.WaitHint(a.Header, now))
	case failed:
		r.Verdict = k.unsure
	case badAccess:
		r.Verdict = relay.DestinationRefused
	case badMessage:
		r.Verdict = k.message
	case badPlace:
		if r.Verdict, r.Probe = k.place, k.probe; k.place == relay.RecipientRefused && (got.Error == "user_not_found" || got.Error == "users_not_found") {
			r.Verdict = relay.Unmatched
		}
	default: // it passes; or Slack's pages do not have it, and ok is false, so that nothing was shown
		r.Verdict, r.RetryAfter = relay.Temporary, post.WaitHint(a.Header, now)
	}
	return got, r
}

// status is what an answer without a code means. Slack answers 200 and 429;
// others come from what stands before it.
func (k reading) status(a *post.Answer, now time.Time) relay.Report {
	r := post.ByStatus(a, now)
	switch {
	case a.Status/100 == 2:
		return relay.Report{Verdict: k.unsure, Error: fmt.Sprintf("slack answered status %s without its ok: %q",
			post.StatusText(a.Status), post.Cut(string(bytes.TrimSpace(a.Body)), 100))}
	case a.Status/100 == 5:
		r.Verdict, r.RetryAfter = k.unsure, post.WaitHint(a.Header, now)
	case r.Verdict == relay.MessageRefused:
		r.Verdict = k.message
	case a.Status/100 == 4:
		r.Probe = false
	}
	r.Error = "slack answered " + r.Error
	return r
}

// words is a code with what Slack says about it, and the remedy of the common ones.
func (g *reply) words() string {
	text := "slack answered " + g.Error
	if g.Needed != "" {
		text += ": it needs " + g.Needed
		if g.Provided != "" {
			text += ", the token has " + g.Provided
		}
	}
	if len(g.Metadata.Messages) > 0 {
		text += ": " + strings.Join(g.Metadata.Messages, "; ")
	}
	if remedy := remedies()[g.Error]; remedy != "" {
		text += "; " + remedy
	}
	return text
}

const newToken = "install the app again and copy its Bot User OAuth Token (OAuth & Permissions) to bot_token"

func remedies() map[string]string {
	return map[string]string{
		"missing_scope":         "add the scope under OAuth & Permissions and install the app again",
		"not_in_channel":        "invite the app to the channel",
		"messages_tab_disabled": "switch on the Messages Tab under the app's App Home",
		"token_expired":         "token rotation is on; install an app without it",
		"token_revoked":         newToken,
		"invalid_auth":          newToken,
		"account_inactive":      newToken,
		"user_not_found":        "nobody in the workspace has this id, or the app may not see them",
		"users_not_found":       "no user of the workspace has this email, or the app may not see them",
	}
}

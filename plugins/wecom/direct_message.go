package wecom

import (
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	// maxDirect is the length of what an app sends, in bytes (90236): text and
	// markdown alike.
	maxDirect = 2048

	// duplicateInterval is the longest that WeCom takes, in seconds: relay's
	// tries are up to an hour apart, and a later one too must not double what an
	// earlier one sent whose answer was lost. Different messages it does not
	// swallow, since each has its mark.
	duplicateInterval = 4 * 60 * 60
)

// directMessage is the body of message/send.
type directMessage struct {
	To       string   `json:"touser"`
	Type     string   `json:"msgtype"`
	Agent    agentID  `json:"agentid"`
	Text     *content `json:"text,omitempty"`
	Markdown *content `json:"markdown,omitempty"`
	Check    int      `json:"enable_duplicate_check"`
	Interval int      `json:"duplicate_check_interval"`
}

// markOf is a delivery's own mark: the end of its id, which is random. WeCom
// tells duplicates by their content and takes no key for that; the mark makes
// equal messages of two deliveries different, and stays over all attempts.
func markOf(id string) string {
	const length = 8
	return id[max(0, len(id)-length):]
}

// compose is the body of a message to one member.
func (a *account) compose(user, mark string, made relay.Rendered) ([]byte, error) {
	m := directMessage{To: user, Agent: a.AgentID, Check: 1, Interval: duplicateInterval}
	switch {
	case made.Native != nil:
		return a.native(user, mark, made.Native)
	case made.Portable != nil:
		s := inDirect(mark).write(made.Portable, maxDirect)
		if s == "" {
			return nil, errEmpty
		}
		m.Type, m.Markdown = "markdown", &content{Content: s}
	default:
		s := text.Text(made.Text, nil, maxDirect-len(textMark(mark)))
		if s == "" {
			return nil, errEmpty
		}
		m.Type, m.Text = "text", &content{Content: s + textMark(mark)}
	}
	return post.Encode(m)
}

// inDirect is the markdown of an app, which mentions nobody: names are printed.
func inDirect(mark string) form {
	f := inMarkdown()
	style := markdown
	style.Mention = nil
	f.style, f.mark = &style, colored("comment", "· "+mark)
	return f
}

func textMark(mark string) string { return "\n(" + mark + ")" }

// markLink puts a mark into a link where it changes nothing: into the fragment,
// which no server sees, or, where an app has a use for that, into the query.
func markLink(link, mark string) string {
	before, fragment, found := strings.Cut(link, "#")
	if !found {
		return link + "#" + mark
	}
	joint := "?"
	if strings.Contains(before, "?") {
		joint = "&"
	}
	return before + joint + "relay=" + mark + "#" + fragment
}

package wecom

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/relay-sidecar/relay/plugin/post"
)

const (
	directKinds = "text, markdown, textcard, news, mpnews, image, voice, video, file, miniprogram_notice and template_card"

	maxLink   = 2048 // of a native message, in bytes (90236)
	maxButton = 4    // characters
)

func directChecks() map[string]check {
	return map[string]check{
		"text":               contentUpTo(maxDirect),
		"markdown":           contentUpTo(maxDirect),
		"textcard":           checkTextCard,
		"news":               func(path string, o object) error { return checkArticles(path, o, "title") }, // it may lead to a mini program
		"mpnews":             func(path string, o object) error { return checkArticles(path, o, "title") },
		"image":              needs("media_id"),
		"voice":              needs("media_id"),
		"video":              needs("media_id"),
		"file":               needs("media_id"),
		"miniprogram_notice": needs("title"),
		"template_card":      checkDirectCard,
	}
}

func checkTextCard(path string, o object) error {
	if err := o.need(path, "title", "description", "url"); err != nil {
		return err
	}
	if label, _ := o["btntxt"].(string); len([]rune(label)) > maxButton {
		return fmt.Errorf("%s.btntxt has %d characters; wecom allows %d", path, len([]rune(label)), maxButton)
	}
	if err := o.atMost(path, "title", maxTitle); err != nil {
		return err
	}
	return o.atMost(path, "description", maxDescription)
}

// checkDirectCard checks a card that only tells something. Those that ask
// something need a callback of the operator's own, and WeCom checks them.
func checkDirectCard(path string, o object) error {
	kind, _ := o["card_type"].(string)
	switch {
	case slices.Contains([]string{"button_interaction", "vote_interaction", "multiple_interaction"}, kind):
		return nil
	case kind != textNotice && kind != newsNotice:
		return fmt.Errorf("%s.card_type is %q; a wecom app takes text_notice, news_notice and three with _interaction", path, kind)
	}
	return checkNotice(path, o, func() error {
		if o.object("card_image").need("", "url") != nil && o.object("image_text_area").need("", "image_url") != nil {
			return fmt.Errorf("%s has neither card_image.url nor image_text_area.image_url; wecom needs one of them", path)
		}
		return nil
	})
}

// native is a template's own object with its recipient and its mark. One that
// takes no mark is sent without the check for duplicates, which would swallow
// an equal message to the same person.
func (a *account) native(user, mark string, raw json.RawMessage) ([]byte, error) {
	m, kind, body, err := readNative(raw, "app", directKinds, directChecks())
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"touser", "toparty", "totag", "agentid"} {
		if _, has := m[key]; has {
			return nil, fmt.Errorf("%s is relay's to say in a direct message; leave it out", key)
		}
	}
	marked, err := body.mark(kind, mark)
	if err != nil {
		return nil, err
	}
	m["touser"], m["agentid"] = user, a.AgentID
	if _, own := m["enable_duplicate_check"]; marked && !own {
		m["enable_duplicate_check"], m["duplicate_check_interval"] = 1, duplicateInterval
	}
	return post.Encode(m)
}

// mark puts a mark into a message where its msgtype has a place for it.
func (o object) mark(kind, mark string) (bool, error) {
	switch kind {
	case "text":
		return true, o.append(kind, "content", textMark(mark), maxDirect)
	case "markdown":
		return true, o.append(kind, "content", "\n"+colored("comment", "· "+mark), maxDirect)
	case "textcard":
		return o.markLink(kind, "url", mark)
	case "news":
		return o.list("articles")[0].markLink("news.articles[0]", "url", mark)
	case "template_card":
		return o.object("card_action").markLink("template_card.card_action", "url", mark)
	}
	return false, nil
}

func (o object) append(path, key, mark string, limit int) error {
	s, _ := o[key].(string)
	if n := len(s) + len(mark); n > limit {
		return fmt.Errorf("%s.%s has %d bytes with the mark that relay adds; wecom allows %d", path, key, n, limit)
	}
	o[key] = s + mark
	return nil
}

func (o object) markLink(path, key, mark string) (bool, error) {
	link, _ := o[key].(string)
	if link == "" {
		return false, nil
	}
	o[key] = markLink(link, mark)
	if n := len(markLink(link, mark)); n > maxLink {
		return true, fmt.Errorf("%s.%s has %d bytes with the mark that relay adds; wecom allows %d", path, key, n, maxLink)
	}
	return true, nil
}

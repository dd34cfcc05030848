package wecom

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// WeCom's limits of what only native messages have (91770).
const (
	maxArticles    = 8
	maxTitle       = 128     // of an article, in bytes; what is longer would be cut
	maxDescription = 512     // of an article, in bytes
	maxImage       = 2 << 20 // before base64

	maxHorizontal = 6 // elements of a card's lists
	maxVertical   = 4
	maxJumps      = 3
)

// object is a JSON object of a native message.
type object map[string]any

// check refuses what WeCom would refuse or cut of one msgtype, and names the
// limit.
type check func(path string, o object) error

// checkNative refuses what a robot could not send.
func checkNative(raw json.RawMessage) error {
	_, _, _, err := readNative(raw, "robot", "text, markdown, markdown_v2, image, news, file, voice and template_card", checks())
	return err
}

// readNative is a native message, its msgtype and the object of that name,
// after it was checked. kinds names the checks in words.
func readNative(raw json.RawMessage, sender, kinds string, checks map[string]check) (m object, kind string, body object, err error) {
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return nil, "", nil, errors.New("a message for wecom is a JSON object with a msgtype")
	}
	kind, _ = m["msgtype"].(string)
	check, known := checks[kind]
	switch {
	case kind == "":
		return nil, "", nil, errors.New("the message has no msgtype; wecom takes " + kinds)
	case !known:
		return nil, "", nil, fmt.Errorf("%q is not a msgtype of a wecom %s; it takes %s", kind, sender, kinds)
	}
	body, ok := m[kind].(map[string]any)
	if !ok {
		return nil, "", nil, fmt.Errorf("%s is missing or no object; wecom needs it", kind)
	}
	return m, kind, body, check(kind, body)
}

func checks() map[string]check {
	return map[string]check{
		"text":          contentUpTo(maxText), // the server was once seen to name 5120; the document says 2048
		"markdown":      contentUpTo(maxMarkdown),
		"markdown_v2":   contentUpTo(maxMarkdown),
		"image":         checkImage,
		"news":          checkNews,
		"file":          needs("media_id"),
		"voice":         needs("media_id"),
		"template_card": checkCard,
	}
}

func contentUpTo(limit int) check {
	return func(path string, o object) error {
		if err := o.need(path, "content"); err != nil {
			return err
		}
		return o.atMost(path, "content", limit)
	}
}

func needs(keys ...string) check {
	return func(path string, o object) error { return o.need(path, keys...) }
}

func checkImage(path string, o object) error {
	if err := o.need(path, "base64", "md5"); err != nil {
		return err
	}
	encoded, _ := o["base64"].(string)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("%s.base64 is not base64", path)
	}
	if len(raw) > maxImage {
		return fmt.Errorf("%s has %d bytes; wecom allows %d", path, len(raw), maxImage)
	}
	return nil
}

func checkNews(path string, o object) error { return checkArticles(path, o, "title", "url") }

// checkArticles checks a list of articles, which must have the texts of keys.
func checkArticles(path string, o object, keys ...string) error {
	articles := o.list("articles")
	if n := len(articles); n == 0 || n > maxArticles {
		return fmt.Errorf("%s.articles has %d elements; wecom takes 1 to %d", path, n, maxArticles)
	}
	for i, a := range articles {
		at := fmt.Sprintf("%s.articles[%d]", path, i)
		if err := a.need(at, keys...); err != nil {
			return err
		}
		if err := a.atMost(at, "title", maxTitle); err != nil {
			return err
		}
		if err := a.atMost(at, "description", maxDescription); err != nil {
			return err
		}
	}
	return nil
}

func checkCard(path string, o object) error {
	if kind, _ := o["card_type"].(string); !slices.Contains([]string{textNotice, newsNotice}, kind) {
		return fmt.Errorf("%s.card_type is %q; a wecom robot takes text_notice and news_notice", path, kind)
	}
	return checkNotice(path, o, func() error { return o.object("card_image").need(path+".card_image", "url") })
}

// Types of a card that only tell something.
const (
	textNotice = "text_notice"
	newsNotice = "news_notice"
)

// checkNotice checks what makes WeCom refuse a card that only tells something;
// the lengths of its texts are recommendations, and what is longer is only cut
// on the screen. picture checks the picture of a news_notice.
func checkNotice(path string, o object, picture func() error) error {
	for key, limit := range map[string]int{"horizontal_content_list": maxHorizontal, "vertical_content_list": maxVertical, "jump_list": maxJumps} {
		if n := len(o.list(key)); n > limit {
			return fmt.Errorf("%s.%s has %d elements; wecom allows %d", path, key, n, limit)
		}
	}
	for key, name := range map[string]string{"horizontal_content_list": "keyname", "vertical_content_list": "title", "jump_list": "title"} {
		for i, item := range o.list(key) {
			if err := item.need(fmt.Sprintf("%s.%s[%d]", path, key, i), name); err != nil {
				return err
			}
		}
	}
	title := o.object("main_title")
	if o["card_type"] == newsNotice {
		if err := title.need(path+".main_title", "title"); err != nil {
			return err
		}
		if err := picture(); err != nil {
			return err
		}
	} else if title.need("", "title") != nil && o.need("", "sub_title_text") != nil {
		return fmt.Errorf("%s has neither main_title.title nor sub_title_text; wecom needs one of them", path)
	}
	return checkAction(path+".card_action", o.object("card_action"))
}

// checkAction: a card must lead somewhere.
func checkAction(path string, o object) error {
	switch o["type"] {
	case 1.0:
		return o.need(path, "url")
	case 2.0:
		return o.need(path, "appid")
	}
	return fmt.Errorf("%s.type is missing; wecom needs 1 (url) or 2 (appid)", path)
}

// need refuses an object that lacks one of the texts that WeCom asks for.
func (o object) need(path string, keys ...string) error {
	for _, key := range keys {
		if s, ok := o[key].(string); !ok || s == "" {
			return fmt.Errorf("%s.%s is missing or no text; wecom needs it", path, key)
		}
	}
	return nil
}

// atMost refuses a text of more than limit bytes.
func (o object) atMost(path, key string, limit int) error {
	if s, _ := o[key].(string); len(s) > limit {
		return fmt.Errorf("%s.%s has %d bytes; wecom allows %d", path, key, len(s), limit)
	}
	return nil
}

func (o object) object(key string) object {
	inner, _ := o[key].(map[string]any)
	return inner
}

func (o object) list(key string) []object {
	raw, _ := o[key].([]any)
	list := make([]object, len(raw))
	for i := range raw {
		list[i], _ = raw[i].(map[string]any)
	}
	return list
}

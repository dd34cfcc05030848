package dingtalk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/relay-sidecar/relay"
)

// maxParam is the longest msgParam, in bytes. It is the documented one of a
// robot's messages to groups; for those to people the documents name none,
// though there is a refusal for it (msgParam.tooLong).
const maxParam = maxPlanned

// composeParam makes the two halves of a robot's message ("Robot message
// types"): which kind it is, and its parameters.
func composeParam(made relay.Rendered) (key string, param []byte, err error) {
	switch {
	case made.Native != nil:
		return nativeParam(made.Native)
	case made.Portable != nil:
		// An app's robot calls nobody, so that mentions are names.
		param, err = portable(made.Portable, newCaller(nil), "", func(body titled, buttons []button) any {
			var fields any
			key, fields = cardParam(body, buttons)
			return fields
		})
		return key, param, err
	}
	param, err = fit(func(room int) (string, any) {
		text := plain.Text(made.Text, nil, room)
		return text, textBody{text}
	})
	return "sampleText", param, err
}

// cardParam is a card with up to maxButtons buttons, or markdown without one.
// Cards with several buttons are a kind for each number of them; the sixth kind
// has two side by side.
func cardParam(body titled, buttons []button) (key string, fields any) {
	switch len(buttons) {
	case 0:
		return "sampleMarkdown", body
	case 1:
		return "sampleActionCard", card(body, buttons)
	}
	key, title, target := "sampleActionCard"+strconv.Itoa(len(buttons)), "actionTitle", "actionURL"
	if sideBySide(buttons) {
		key, title, target = "sampleActionCard6", "buttonTitle", "buttonUrl"
	}
	param := map[string]string{"title": body.Title, "text": body.Text}
	for i, b := range buttons {
		param[title+strconv.Itoa(i+1)], param[target+strconv.Itoa(i+1)] = b.Title, b.URL
	}
	return key, param
}

// needs are the texts without which a kind of message is refused ("Robot
// message types"). Kinds that do not stand here are DingTalk's to judge.
func needs(key string) []string {
	switch key {
	case "sampleText":
		return []string{"content"}
	case "sampleMarkdown":
		return []string{"title", "text"}
	case "sampleImageMsg":
		return []string{"photoURL"}
	case "sampleLink":
		return []string{"title", "text", "messageUrl"}
	case "sampleActionCard":
		return []string{"title", "text", "singleTitle", "singleURL"}
	case "sampleActionCard6":
		return []string{"title", "text", "buttonTitle1", "buttonUrl1", "buttonTitle2", "buttonUrl2"}
	case "sampleAudio":
		return []string{"mediaId"}
	case "sampleFile":
		return []string{"mediaId", "fileName", "fileType"}
	}
	number, _ := strconv.Atoi(strings.TrimPrefix(key, "sampleActionCard"))
	if number < 2 || number > maxButtons {
		return nil
	}
	list := []string{"title", "text"}
	for i := range number {
		list = append(list, "actionTitle"+strconv.Itoa(i+1), "actionURL"+strconv.Itoa(i+1))
	}
	return list
}

// nativeParam is a template's own object, whose msgParam may be the object that
// DingTalk wants as a string.
func nativeParam(raw json.RawMessage) (string, []byte, error) {
	const takes = `a direct message of dingtalk is {"msgKey": "sampleMarkdown", "msgParam": {"title": …, "text": …}} or another of its msgKeys`
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil || m == nil {
		return "", nil, errors.New(takes)
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch name {
		case "msgKey", "msgParam":
		case "msgtype":
			return "", nil, errors.New("a msgtype is for groups; " + takes + "; ctx.direct tells a template which one it makes")
		case "robotCode", "userIds":
			return "", nil, errors.New(name + " is relay's to fill in; leave it out")
		default:
			return "", nil, fmt.Errorf("%q is no key of a direct message; %s", name, takes)
		}
	}
	key, param := text(m["msgKey"]), bytes.TrimSpace(m["msgParam"])
	if key == "" {
		return "", nil, errors.New("the message has no msgKey; " + takes)
	}
	if s := text(param); s != "" {
		param = []byte(s)
	}
	var fields map[string]any
	if json.Unmarshal(param, &fields) != nil || fields == nil {
		return "", nil, errors.New("msgParam is no object, nor a string that holds one; " + takes)
	}
	if err := need(fields, "msgParam", needs(key)...); err != nil {
		return "", nil, err
	}
	if n := len(param); n > maxParam {
		return "", nil, fmt.Errorf("msgParam has %d bytes; dingtalk allows %d", n, maxParam)
	}
	return key, param, nil
}

package render

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"github.com/relay-sidecar/relay"
)

// Helpers lists what module "relay" exports.
func Helpers() []string {
	return []string{"color", "escape", "formatTime", "mention", "message", "sha256", "t", "truncate"}
}

// hook is [Hook]. Helpers are made when a program asks for them, because making
// a function costs about as much as calling one.
func (s *scope) hook(call goja.FunctionCall) goja.Value {
	var helper func(goja.FunctionCall) goja.Value
	switch name := call.Argument(0).String(); name {
	case "default":
		s.entry = call.Argument(1)
		return goja.Undefined()
	case "answer":
		s.answer = call.Argument(1)
		return goja.Undefined()
	case "color":
		helper = s.helpColor
	case "escape":
		helper = s.helpEscape
	case "formatTime":
		helper = s.helpFormatTime
	case "mention":
		helper = s.helpMention
	case "message":
		helper = s.helpMessage
	case "sha256":
		helper = s.helpSHA256
	case "t":
		helper = s.helpTranslate
	case "truncate":
		helper = s.helpTruncate
	default:
		s.throw("module \"relay\" has no %q", name)
	}
	return s.rt.ToValue(helper)
}

// helpMessage brands a copy of its argument. It is checked when the template
// returns it, so that a template may still change it; the place of this call is
// kept for the words.
func (s *scope) helpMessage(call goja.FunctionCall) goja.Value {
	in, ok := call.Argument(0).(*goja.Object)
	if !ok {
		s.throw("message: the argument is %s; it must be an object", describe(call.Argument(0)))
	}
	if frames := s.rt.CaptureCallStack(2, nil); len(frames) == 2 {
		s.branded[0] = frames[1]
	}
	out := s.rt.NewObject()
	s.put(out, brand, s.rt.ToValue(relay.MessageMark))
	for _, key := range in.Keys() {
		if key != brand {
			s.put(out, key, in.Get(key))
		}
	}
	return out
}

func (s *scope) helpMention(call goja.FunctionCall) goja.Value {
	token, err := s.mention(call.Argument(0))
	if err != nil {
		s.throw("mention: %v", err)
	}
	return s.rt.ToValue(token)
}

// plain is the text of a value as templates mean it: nothing for what is
// missing.
func plain(v goja.Value) string {
	if missing(v) {
		return ""
	}
	return v.String()
}

func (s *scope) helpEscape(call goja.FunctionCall) goja.Value {
	return s.rt.ToValue(escape(plain(call.Argument(0))))
}

// escape makes CommonMark that shows text as it is. Indentation at the
// beginning of a line would make code of it and is dropped.
func escape(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/8)
	begins, digits := true, false // a line begins; only digits came so far
	for _, r := range text {
		switch {
		case r == '\n' || r == '\r':
			begins, digits = true, false
			b.WriteRune(r)
			continue
		case begins && (r == ' ' || r == '\t'):
			continue
		case strings.ContainsRune("\\`*_[]<>&~|", r),
			begins && strings.ContainsRune("#+-=", r),
			digits && (r == '.' || r == ')'):
			b.WriteByte('\\')
		}
		digits = (begins || digits) && r >= '0' && r <= '9'
		begins = false
		b.WriteRune(r)
	}
	return b.String()
}

func (s *scope) helpTruncate(call goja.FunctionCall) goja.Value {
	n := call.Argument(1)
	if !goja.IsNumber(n) || n.ToInteger() < 1 {
		s.throw("truncate: the second argument is the greatest number of characters, from 1")
	}
	return s.rt.ToValue(s.truncate(plain(call.Argument(0)), n.ToInteger()))
}

// truncate cuts text to n characters, the mark included. A mention is never cut
// in two: it counts as one character.
func (s *scope) truncate(text string, n int64) string {
	if int64(len(text)) <= n {
		return text
	}
	var count int64
	end, token := 0, false // where n-1 characters end
	for i, r := range text {
		if r == relay.MentionClose {
			token = false
			continue
		}
		if token {
			continue
		}
		if count == n-1 {
			end = i
		}
		if count == n {
			return text[:end] + "…"
		}
		count++
		token = r == relay.MentionOpen
	}
	return text
}

// cut shortens text to n bytes at a rune, the mark included.
func cut(text string, n int) string {
	const mark = "…"
	if len(text) <= n {
		return text
	}
	end := n - len(mark)
	for end > 0 && text[end]&0xC0 == 0x80 {
		end--
	}
	return text[:end] + mark
}

// colors are those of Slack's own palette that Bytebase's bars have had for
// years; they are told apart by people with colour blindness as well.
var colors = map[relay.Level]string{
	relay.LevelInfo:    "#1264A3",
	relay.LevelSuccess: "#2EB67D",
	relay.LevelWarn:    "#ECB22E",
	relay.LevelError:   "#E01E5A",
}

func (s *scope) helpColor(call goja.FunctionCall) goja.Value {
	level, ok := relay.ParseLevel(plain(call.Argument(0)))
	if !ok {
		s.throw("color: %q is no level; it is info, success, warn or error", clip(call.Argument(0).String()))
	}
	return s.rt.ToValue(colors[level])
}

func (s *scope) helpSHA256(call goja.FunctionCall) goja.Value {
	sum := sha256.Sum256([]byte(plain(call.Argument(0))))
	return s.rt.ToValue(hex.EncodeToString(sum[:]))
}

const defaultLanguage = "en"

func (s *scope) helpTranslate(call goja.FunctionCall) goja.Value {
	text := s.translate(plain(call.Argument(0)))
	vars, ok := call.Argument(1).(*goja.Object)
	if !ok || !strings.Contains(text, "{") {
		return s.rt.ToValue(text)
	}
	var pairs []string
	for _, key := range vars.Keys() {
		pairs = append(pairs, "{"+key+"}", plain(vars.Get(key)))
	}
	return s.rt.ToValue(strings.NewReplacer(pairs...).Replace(text))
}

// translate is a key's text in the language of the destination, in its broader
// language (zh for zh-CN), in English, or the key itself.
func (s *scope) translate(key string) string {
	if s.template.locales == nil {
		return key
	}
	language := s.language()
	broad, _, _ := strings.Cut(language, "-")
	for _, l := range slices.Compact([]string{language, broad, defaultLanguage}) {
		if text, ok := s.template.locales.Strings[l][key]; ok {
			return text
		}
	}
	return key
}

package dingtalk

import (
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay"
)

// caller knows whom a message may call, and by what.
type caller struct {
	markers map[string]bool // of those who are called, at most maxCalled
	byPhone bool            // one of them by phone number
}

// maxCalled is how many people one message may call.
const maxCalled = 50

func newCaller(people []relay.Person) *caller {
	c := &caller{markers: make(map[string]bool)}
	for _, p := range people {
		if id, phone := called(p); (id != "" || phone != "") && len(c.markers) < maxCalled {
			c.markers["@"+id+phone] = true
			c.byPhone = c.byPhone || phone != ""
		}
	}
	return c
}

// mention is what must stand in the text for a call to be seen. The space ends it.
func (c *caller) mention(p relay.Person) string {
	id, phone := called(p)
	if marker := "@" + id + phone; c.markers[marker] {
		return marker + " "
	}
	return ""
}

// at lists those of people whose marker stands in text.
func (c *caller) at(people []relay.Person, text string) *at {
	var a at
	done := make(map[string]bool)
	for _, p := range people {
		id, phone := called(p)
		marker := "@" + id + phone
		switch {
		case !c.markers[marker] || done[marker] || !strings.Contains(text, marker):
			continue
		case id != "":
			a.UserIDs = append(a.UserIDs, id)
		default:
			a.Mobiles = append(a.Mobiles, phone)
		}
		done[marker] = true
	}
	if len(done) == 0 {
		return nil
	}
	return &a
}

// called is a person's DingTalk id, or else the phone number by which DingTalk
// knows a member: of mainland China, without the country. How it writes other
// numbers is not documented; those people need ids.dingtalk.
func called(p relay.Person) (id, phone string) {
	if id = p.IDs["dingtalk"]; goodUserID(id) {
		return id, ""
	}
	return "", mainland(p.Phone)
}

// mainland is a mobile phone number of mainland China without the country, or
// "" where it is none.
func mainland(number string) string {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(number)
	digits = strings.TrimPrefix(digits, "+86")
	const length = 11
	if len(digits) != length || digits[0] != '1' || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return digits
}

// goodUserID: letters, digits and a few signs; everybody is nobody's id.
func goodUserID(id string) bool {
	const longest = 64
	return id != "" && len(id) <= longest && !strings.EqualFold(strings.Trim(id, "@"), "all") && !strings.ContainsFunc(id, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@", r)
	})
}

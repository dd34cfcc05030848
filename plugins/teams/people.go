package teams

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// entity makes Teams notify a person: its text has to stand in a TextBlock,
// letter for letter. "<at>" in any other text does nothing.
type entity struct {
	Type      string    `json:"type"`
	Text      string    `json:"text"`
	Mentioned mentioned `json:"mentioned"`
}

type mentioned struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// people are those whom a message mentions and Teams can notify.
type people struct {
	entities []entity
	called   map[string]bool // by id: stands in a TextBlock
}

// newPeople takes as many as have room; the others are named only.
func newPeople(list []relay.Person, room int) *people {
	w := &people{called: map[string]bool{}}
	taken := map[string]bool{} // names: the text of an entity is what it is found by
	for _, p := range list {
		id := userID(p)
		if id == "" || w.find(id) != nil {
			continue
		}
		name := atName(markup.Name(p))
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s %d", atName(markup.Name(p)), n)
		}
		e := entity{Type: "mention", Text: "<at>" + name + "</at>", Mentioned: mentioned{ID: id, Name: name}}
		if room -= encodedSize(e) + len(e.Text) + 1; room < 0 {
			break
		}
		taken[name] = true
		w.entities = append(w.entities, e)
	}
	return w
}

func (w *people) find(id string) *entity {
	for i := range w.entities {
		if w.entities[i].Mentioned.ID == id {
			return &w.entities[i]
		}
	}
	return nil
}

func (w *people) name(id string) string {
	if e := w.find(id); e != nil {
		return e.Mentioned.Name
	}
	return atName(id)
}

// call is a TextBlock of those who are not called yet, or nil.
func (w *people) call() *element {
	var texts []string
	for _, e := range w.entities {
		if !w.called[e.Mentioned.ID] {
			texts = append(texts, e.Text)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return textBlock(strings.Join(texts, " "))
}

// mentionBlock is a line that calls people, as a TextBlock: where else can they
// be called? TextBlocks read Markdown, for which Teams documents no escape; so
// a line that might hold any stays in runs, and its people are called apart.
func (w *people) mentionBlock(l line) *element {
	var b strings.Builder
	var ids []string
	for i, r := range l.runs {
		if r.person != "" {
			e := w.find(r.person)
			if e == nil {
				return nil
			}
			b.WriteString(e.Text)
			ids = append(ids, r.person)
			continue
		}
		styled := r.Weight != "" || r.Italic || r.Strikethrough || r.FontType != "" || r.SelectAction != nil
		if styled || !wordsOnly(r.Text, i == 0) {
			return nil
		}
		b.WriteString(r.Text)
	}
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		w.called[id] = true
	}
	return textBlock(b.String())
}

// wordsOnly reports whether text cannot be Markdown, HTML or a bare URL.
func wordsOnly(s string, begins bool) bool {
	for i, r := range s {
		letter := unicode.IsLetter(r) || unicode.IsMark(r)
		switch {
		case letter:
		case begins && i == 0 && r != '•':
			return false // a list, perhaps
		case unicode.IsDigit(r), r == ' ', r > unicode.MaxASCII && unicode.IsPunct(r):
		case strings.ContainsRune(`,;:!?'"`, r):
		case r == '.' && (i+1 == len(s) || s[i+1] == ' '):
		default:
			return false
		}
	}
	return true
}

// atName is a name as it may stand in <at>…</at>.
func atName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsDigit(r), strings.ContainsRune(" -.,'’@", r):
			return r
		}
		return -1
	}, name)
	const longest = 100
	if name = markup.Cut(strings.Join(strings.Fields(name), " "), longest, markup.Bytes); name == "" {
		return "user"
	}
	return name
}

// userGrammar is an Entra object id, a user principal name, or the id that
// Teams gives to bots ("Mention support within Adaptive Cards").
var userGrammar = regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|29:[A-Za-z0-9_-]+|[^\s<>"@\\\pC]+@[^\s<>"@\\\pC]+)$`)

// userID is what Teams knows a person by: an explicit id, else the email, which
// mostly is the user principal name as well.
func userID(p relay.Person) string {
	const longest = 320 // an email address
	for _, id := range []string{p.IDs["teams"], p.Email} {
		if len(id) <= longest && userGrammar.MatchString(id) {
			return id
		}
	}
	return ""
}

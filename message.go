package relay

import (
	"encoding/json"
	"fmt"
)

// Message is the portable message: what a template makes with message(), and
// what every provider turns into its own best form. Text is CommonMark; the
// other strings are plain text. MessageMark stands in its JSON as "$relay": 1
// and tells it from a vendor's native object.
type Message struct {
	Mark     int      `json:"$relay"`
	Title    string   `json:"title,omitempty"`
	Text     string   `json:"text,omitempty"`
	Level    Level    `json:"level,omitempty"`
	Link     string   `json:"link,omitempty"`
	Fields   []Field  `json:"fields,omitempty"`
	Actions  []Action `json:"actions,omitempty"`
	Image    *Image   `json:"image,omitempty"`
	Footer   string   `json:"footer,omitempty"`
	Mentions []Person `json:"mentions,omitempty"` // by index in the mention tokens of the strings
}

// MessageMark is the value of a portable message's "$relay" key.
const MessageMark = 1

// Field is a name and a value, shown side by side with the next one when Short.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Short bool   `json:"short,omitempty"`
}

// Action is a button or a link.
type Action struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// Image is shown below the text.
type Image struct {
	URL string `json:"url"`
	Alt string `json:"alt,omitempty"`
}

// MentionOpen and MentionClose enclose a mention token: between them stands the
// index into Message.Mentions. They are private-use characters that intake
// takes out of whatever senders send, so only a template can make a mention.
const (
	MentionOpen  = '\uE000'
	MentionClose = '\uE001'
)

// Rendered is what a template made of an event. Exactly one of the fields is
// set; all empty means that the template said no.
type Rendered struct {
	Portable *Message
	Native   json.RawMessage // the vendor's own object
	Text     string          // plain text
}

// Skipped reports whether the template said no.
func (r Rendered) Skipped() bool { return r.Portable == nil && r.Native == nil && r.Text == "" }

// Program is a compiled template or source script: one file with everything
// that it imports, ready for a JavaScript engine.
type Program struct {
	Name     string // the path below the templates directory, such as "slack/approval.ts"
	Revision string // a hash of the code and of the locales
	Code     []byte // a script with an inline source map
	Locales  *Locales
	Sources  map[string]Source // what it was made of, by the names that its errors say
}

// Source is a file that a program was made of.
type Source struct {
	Path string // as a person finds it; of a built-in one the name
	Text []byte
}

// Locales holds the translations that templates/locales/<language>.json give,
// shared by all programs of one load.
type Locales struct {
	Revision string
	Strings  map[string]map[string]string // language → key → text
}

// TemplateError is a fault of a template, at a place of its source. Line and
// Column count from 1; 0 means unknown.
type TemplateError struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Frame   string `json:"frame,omitempty"` // the lines around the place, with a caret below it
	Hint    string `json:"hint,omitempty"`  // the remedy, where one can be told
	// Fatal: the render could not be ended, so its plugin ends, and this revision
	// of the template is not run again.
	Fatal bool `json:"fatal,omitempty"`
}

func (e *TemplateError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// TemplateErrors says what follows when a template fails.
type TemplateErrors string

// The choices for a destination's `template_errors`.
const (
	TemplateErrorsFallback TemplateErrors = "fallback" // send the built-in default instead
	TemplateErrorsRetry    TemplateErrors = "retry"    // try again later
	TemplateErrorsDead     TemplateErrors = "dead"     // give the delivery up
)

// Problem is a fault of a file, at its place, in words that say the remedy.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"` // the key, such as destinations.dba-team.url
	Message string `json:"message"`
	Frame   string `json:"frame,omitempty"` // of a template: the lines around the place
	Hint    string `json:"hint,omitempty"`
}

func (p Problem) Error() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	if p.Path != "" {
		return fmt.Sprintf("%s: %s: %s", place, p.Path, p.Message)
	}
	if place == "" {
		return p.Message
	}
	return fmt.Sprintf("%s: %s", place, p.Message)
}

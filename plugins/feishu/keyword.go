package feishu

import (
	"errors"
	"regexp"
	"strings"
)

// hidden is what of markdown is not text to the vendor's search for keywords:
// the targets of links, and tags.
var hidden = regexp.MustCompile(`\]\([^)]*\)|<[^>]*>`)

// addKeyword makes a card pass the bot's search for its keyword: the keyword
// becomes the subtitle, or the title where there is none.
func (w *writer) addKeyword(c *card) {
	if w.keyword == "" || c.says(w.keyword) {
		return
	}
	word := simple(w.keyword)
	if c.Header == nil {
		c.Header = &header{Title: word, Template: "blue"}
		return
	}
	c.Header.Subtitle = &word
}

// says reports whether text that readers see holds a word.
func (c *card) says(word string) bool {
	if c.Header != nil && c.Header.Title.says(word) {
		return true
	}
	for _, e := range c.Body.Elements {
		if e.says(word) {
			return true
		}
	}
	return false
}

func (e element) says(word string) bool {
	text := e.Content
	if e.Tag == "markdown" {
		text = hidden.ReplaceAllString(text, " ")
	}
	if strings.Contains(text, word) || e.Text != nil && e.Text.says(word) {
		return true
	}
	for _, inner := range e.Elements {
		if inner.says(word) {
			return true
		}
	}
	for _, inner := range e.Columns {
		if inner.says(word) {
			return true
		}
	}
	return false
}

// text is what a template returned as a string, of at most room bytes in JSON,
// with the keyword below it where it lacks it.
func (w *writer) text(s string, room int) (string, error) {
	suffix := ""
	if w.keyword != "" {
		suffix = "\n" + w.keyword
	}
	text := w.fit(room, func(limit int) string {
		text := plainBytes.Text(s, nil, limit-len(suffix))
		if text == "" || strings.Contains(text, w.keyword) {
			return text
		}
		return text + suffix
	})
	if text == "" {
		return "", errors.New("the template returned an empty text")
	}
	return text, nil
}

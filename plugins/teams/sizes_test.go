package teams

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

func TestSizes(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀", `"`, `\\`, "word ", "a\n", "para\n\n", "**b** ", "[l](https://example.com/x) ", "`c`_d_", token0 + "\n", token0 + " *x* "} {
		for _, length := range []int{titleRoom + 1, 64 << 10} { // templates make no more
			s := strings.Repeat(unit, length/len(unit))
			m := relay.Message{Title: s, Text: s, Footer: s, Level: relay.LevelWarn, Link: "https://example.com/" + strings.Repeat("b", 2000), Mentions: []relay.Person{ann}}
			refuse(t, compose(t, portableOf(m)))
			if unit[0] != token0[0] { // a string has no people
				refuse(t, compose(t, relay.Rendered{Text: s}))
			}
			for i := range 12 {
				m.Fields = append(m.Fields, relay.Field{Name: s, Value: s, Short: i%2 == 0})
				m.Actions = append(m.Actions, relay.Action{Text: s, URL: "https://example.com/" + strings.Repeat("c", 180*i)})
				m.Mentions = append(m.Mentions, relay.Person{Name: strings.Repeat("n", 90), Email: strings.Repeat("m", 20*i+1) + "@example.com"})
			}
			refuse(t, compose(t, portableOf(m)))
		}
	}
	many := relay.Message{Title: "t"}
	for i := range 500 {
		many.Fields = append(many.Fields, relay.Field{Name: "n", Value: "v", Short: i%2 == 0})
	}
	body := compose(t, portableOf(many))
	refuse(t, body)
	if !strings.Contains(string(body), `"text":"…"`) {
		t.Error("fields were left out without a mark")
	}
}

// TestCuts: a message that fits stays, one character more and it is cut at a
// rune and marked, and the room is used.
func TestCuts(t *testing.T) {
	for _, unit := range []string{"a", "字", "😀"} {
		whole := compose(t, portableOf(relay.Message{Title: "t", Text: unit}))
		fits := (maxMessage - len(whole)) / len(unit)
		for n := fits - 1; n <= fits+2; n++ {
			body := compose(t, portableOf(relay.Message{Title: "t", Text: strings.Repeat(unit, n)}))
			refuse(t, body)
			kept, cut := strings.Count(string(body), unit), strings.Contains(string(body), "…")
			if cut != (n > fits) && n != fits+1 || cut && kept < fits*9/10 || !cut && kept < n {
				t.Errorf("%d × %s of %d: %d kept, cut %v", n, unit, fits, kept, cut)
			}
		}
		for n, want := range map[int]string{
			titleRoom/len(unit) - 1: strings.Repeat(unit, titleRoom/len(unit)-1),
			titleRoom / len(unit):   strings.Repeat(unit, titleRoom/len(unit)),
			titleRoom/len(unit) + 1: strings.Repeat(unit, (titleRoom-3)/len(unit)) + "…",
		} {
			body := compose(t, portableOf(relay.Message{Title: strings.Repeat(unit, n)}))
			if !strings.Contains(string(body), `"text":"`+want+`"`) {
				t.Errorf("%d × %s: the title is not %d × and so on", n, unit, strings.Count(want, unit))
			}
		}
	}
}

// TestSchemaRefuses keeps the reduced schema honest.
func TestSchemaRefuses(t *testing.T) {
	s, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	for body, good := range map[string]bool{
		`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","text":"x"}]}`:                                        true,
		`{"type":"AdaptiveCard","version":"1.5","body":[]}`:                                                                       false,
		`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"Table"}]}`:                                                       false,
		`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","text":"x","size":"Huge"}]}`:                          false,
		`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"RichTextBlock","inlines":[{"type":"TextRun","bold":true}]}]}`:    false,
		`{"type":"AdaptiveCard","version":"1.4","body":[],"actions":[{"type":"Action.OpenUrl","title":"no url"}]}`:                false,
		`{"type":"AdaptiveCard","version":"1.4","body":[{"type":"ColumnSet","columns":[{"type":"Column","items":[{"x":"y"}]}]}]}`: false,
	} {
		var card any
		if err := json.Unmarshal([]byte(body), &card); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(card); (err == nil) != good {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func FuzzCard(f *testing.F) {
	for _, s := range []string{hostile, "**a** _b_", token0 + " x " + token1, "> > > x\n- y\n  - z", "```\n`\n```", "<https://a|b>", "\uE010\uE018x\uE019\uE01A\uE01B\uE01C", "a\n***\nb", "**a\n" + token0 + "**"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		m := relay.Message{Title: value, Text: text, Fields: []relay.Field{{Name: text, Value: value, Short: true}, {Value: text}}, Footer: value, Mentions: []relay.Person{ann, bob, eve}}
		req, err := open(t, hook).Compose(&plugin.Delivery{}, relay.Rendered{Portable: &m})
		if err == nil {
			refuse(t, req.Body)
		}
	})
}

func BenchmarkCompose(b *testing.B) {
	d := open(b, hook)
	r := messages()["approval"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Compose(&plugin.Delivery{}, r); err != nil {
			b.Fatal(err)
		}
	}
}

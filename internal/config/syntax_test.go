package config_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A file of a hundred destinations with one line that is not YAML: the fault is
// named at that line, or at what opens in it.
func TestPlaceOfWhatIsNoYAML(t *testing.T) {
	var file []string
	file = append(file, "# a comment", "destinations:")
	for i := range 100 {
		file = append(file, fmt.Sprintf("  d%d:", i), "    provider: custom", "    url: https://a.example", "    events: [issue.created]")
	}
	const unfit = "the line does not fit what stands above it; look at its indentation, and for a quote or bracket, at or before it"
	for _, test := range []struct {
		line              int // from 1; of what is written in place of it
		text, want, after string
	}{
		{299, "   d74:", "299:4: not YAML: " + unfit, ""},
		{299, "   d74:", "299:4: not YAML: " + unfit, "# one\n# two\n\n# three"},
		{299, " d74:", "299:2: not YAML: " + unfit, ""},
		{301, "     url: https://a.example", "301:6: not YAML: " + unfit, ""},
		{301, "   url: https://a.example", "301:4: not YAML: " + unfit, ""},
		{300, "     provider: custom", "301:5: not YAML: " + unfit, ""}, // nothing is wrong before the next line
		{301, "    url:https://a.example", "301:5: not YAML: put a space after the colon", ""},
		{301, "    url https://a.example", "301:5: not YAML: a key needs a colon and a space behind it, such as timeout: 10s", ""},
		{302, "    events: [issue.created", "302:13: not YAML: between this [ and line 304 a comma, a quote or the ] is missing", ""},
		{302, "    match: {level: error", "302:12: not YAML: between this { and line 304 a comma, a quote or the } is missing", ""},
		{302, "    match: {level: ${LEVEL}}", "302:20: not YAML: inside { } and [ ] a ${…} is written in quotes", ""},
		{302, "    events: [*.created]", `302:14: not YAML: quote a value that begins with * or &, such as "*.created"`, ""},
		{302, "    events: *", `302:13: not YAML: quote a value that begins with * or &, such as "*.created"`, ""},
		{302, "    events: &.x", `302:13: not YAML: quote a value that begins with * or &, such as "*.created"`, ""},
		{302, "    events: *x", "302:13: not YAML: an alias, which begins with *, of an anchor that there is not; quote a value that begins with *, or write the anchor before it", ""},
		{302, "    secret: @x", "302:13: not YAML: quote a value that begins with @, ` or %", ""},
		{302, "    secret: `x", "302:13: not YAML: quote a value that begins with @, ` or %", ""},
		{302, "    secret: %x", "302:13: not YAML: quote a value that begins with @, ` or %", ""},
		{302, "    secret: |x", "302:5: not YAML: quote a value that begins with | or >", ""},
		{302, "    secret: !x{y", "302:5: not YAML: quote a value that begins with !", ""},
		{302, "    secret: !a!b", "302:5: not YAML: quote a value that begins with !", ""},
		{302, `    secret: "a\q"`, `302:5: not YAML: between double quotes a \ needs a second one; or use single quotes`, ""},
		{302, `    secret: "a" b`, "302:5: not YAML: " + unfit, ""},
		{302, `    secret: "a`, "302:13: not YAML: the quote that opens here is not closed; is the file whole?", ""},
		{302, "    secret: a: b", "302:13: not YAML: quote a value that holds a colon and a space", ""},
		{302, "    events: - a", "302:5: not YAML: a list begins on a line of its own; quote a value that begins with a dash and a space", ""},
		{302, "    events: ]", "302:5: not YAML: a value is missing here, or a quote around one that begins with ] } or ,", ""},
		{302, "    events: [a]]", "302:5: not YAML: " + unfit, ""},
		{302, "\tevents: [a]", "302:1: not YAML: a tab in the indentation; YAML is indented by spaces", ""},
		{302, "    \tevents: [a]", "302:5: not YAML: a tab in the indentation; YAML is indented by spaces", ""},
		{302, "    secret: a\x00", "302:14: not YAML: a control character, which editors may not show; take it out", ""},
		{1, "a: [b", "1:4: not YAML: between this [ and line 4 a comma, a quote or the ] is missing", ""},
		{1, "a: 'b", "1:4: not YAML: the quote that opens here is not closed; is the file whole?", ""},
		{402, "    events: [issue.created,", "402:5: not YAML: the file ends within brackets that are not closed; is it whole?", ""},
		{402, "    events: [issue.created", "402:13: not YAML: between this [ and line 402 a comma, a quote or the ] is missing", ""},
	} {
		changed := append([]string(nil), file...)
		changed[test.line-1] = test.text + strings.TrimSuffix("\n"+test.after, "\n")
		if got, want := told(strings.Join(changed, "\n")), "relay.yaml:"+test.want+"\n"; got != want {
			t.Errorf("%q in line %d: got\n%swant\n%s", test.text, test.line, got, want)
		}
	}
}

// The place of a fault at the end of the largest file is found in little time.
func TestPlaceInALargeFile(t *testing.T) {
	began := time.Now()
	got := told(strings.Repeat("# a comment\nx-a: [1, 2, 3, {a: b}]\n", 28_000) + "  b: c\n")
	if !strings.HasPrefix(got, "relay.yaml:56001:3: not YAML: ") {
		t.Errorf("got %s", got)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}

package render_test

import (
	"context"
	"testing"

	"github.com/relay-sidecar/relay/plugin/render"
)

func TestHelpers(t *testing.T) {
	tests := []struct{ expression, want string }{
		{`t("hi", {name: "Ann"})`, "Servus Ann"}, // de-AT
		{`t("en")`, "English"},
		{`t("no.such.key")`, "no.such.key"},
		{`t("hi")`, "Servus {name}"},
		{`t("hi", {other: 1})`, "Servus {name}"},
		{`t("hi", {name: null})`, "Servus "},
		{`color("WARN")`, "#ECB22E"},
		{`color(event.level)`, "#ECB22E"},
		{`["info", "success", "error"].map(color).join()`, "#1264A3,#2EB67D,#E01E5A"},
		{`sha256("abc")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{`sha256("工")`, "bb6a90660bf98c4df4508da7b222d59c8eb711362f563fdf3f23fdd895576479"},
		{`truncate("abc", 3)`, "abc"},
		{`truncate("abcd", 3)`, "ab…"},
		{`truncate("工单审批", 3)`, "工单…"},
		{`truncate("工单审", 3)`, "工单审"},
		{`truncate("abc", 1)`, "…"},
		{`"x" + truncate(null, 3)`, "x"},
		{`truncate("a" + mention(event.actor) + "bc", 3)`, "aAnn…"},
		{`truncate("a" + mention(event.actor) + "b", 3)`, "aAnnb"},
		{`truncate("abc" + mention(event.actor), 3)`, "ab…"},
		{`escape("*a* _b_ [c](d) <e> & ~f~ |g| \\ ` + "`h`" + `")`, `\*a\* \_b\_ \[c\](d) \<e\> \& \~f\~ \|g\| \\ ` + "\\`h\\`"},
		{`escape("# a\n- b\n+ c\n1. d\n12) e\n    f\n===\na # - + = 1.")`, "\\# a\n\\- b\n\\+ c\n1\\. d\n12\\) e\nf\n\\===\na # - + = 1."},
		{`escape("Meeting at 10.30")`, "Meeting at 10.30"},
		{`escape(7) + escape(undefined) + escape(null)`, "7"},
		{`escape(mention(event.actor))`, "Ann"},
		{`formatTime("2026-11-21T08:00:00Z")`, "2026-11-21 09:00 CET"},
		{`formatTime("2026-07-01T22:30:05.5Z", "D. M. YYYY H:mm:ss.SSS Z [at] ddd dddd MMM h hh A")`, "2. 7. 2026 0:30:05.500 +02:00 at Thu Thursday Jul 12 12 AM"},
		{`formatTime(0, "YYYY-MM-DD HH:mm z")`, "1970-01-01 01:00 CET"},
		{`formatTime(new Date(0), "HH:mm")`, "01:00"},
		{`formatTime(ctx.now, "HH:mm")`, "09:00"},
		{`formatTime(Date.now(), "HH:mm")`, "09:00"},
		{`"x" + formatTime(undefined) + formatTime(null)`, "x"},
		{`formatTime(0, "YYYYY [open")`, "YYYYY [open"},
	}
	for _, test := range tests {
		out, fault := run(t, "return "+test.expression)
		if fault != nil || out.Text != test.want {
			t.Errorf("%s = %q, %v; want %q", test.expression, out.Text, fault, test.want)
		}
	}
}

func TestHelpersRefuse(t *testing.T) {
	for expression, want := range map[string]string{
		`color("pink")`:       `TypeError: color: "pink" is no level; it is info, success, warn or error`,
		`truncate("abc")`:     "TypeError: truncate: the second argument is the greatest number of characters, from 1",
		`truncate("abc", 0)`:  "TypeError: truncate: the second argument is the greatest number of characters, from 1",
		`formatTime("today")`: `TypeError: formatTime: "today" is no time; it takes RFC 3339 text, milliseconds or a Date`,
		`formatTime(NaN)`:     `TypeError: formatTime: "NaN" is no time; it takes RFC 3339 text, milliseconds or a Date`,
		`formatTime({})`:      `TypeError: formatTime: "[object Object]" is no time; it takes RFC 3339 text, milliseconds or a Date`,
		`mention(7)`:          "TypeError: mention: a person is an object, not a number",
		`$relay("readFile")`:  `TypeError: module "relay" has no "readFile"`,
	} {
		if _, fault := run(t, "return "+expression); fault == nil || fault.Message != want {
			t.Errorf("%s: %v, want %s", expression, fault, want)
		}
	}
}

func TestChinese(t *testing.T) {
	in := render.Input{Event: []byte(event), Context: berlin}
	in.Context.Language, in.Context.TimeZone = "zh-CN", "Asia/Shanghai"
	out, fault := newTemplate(t, `return [t("hi", {name: "安"}), t("zh"), t("en"), formatTime(ctx.now, "YYYY年MMMD日 dddd ddd A h:mm z")].join()`).Render(context.Background(), in)
	if want := "你好 安,中文,English,2026年11月21日 星期六 周六 下午 4:00 CST"; fault != nil || out.Text != want {
		t.Errorf("got %q, %v; want %q", out.Text, fault, want)
	}
}

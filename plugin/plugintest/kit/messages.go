package kit

import (
	"encoding/json"
	"strings"
)

// The messages that checks send, in the form in which a plugin without an
// engine gets them. \ue000 and \ue001 enclose a mention: an index into mentions.
var rendered = map[string]string{
	"portable": `{"$relay":1,"title":"A check by relay's kit","text":"It is **bold**, and [a link](https://example.com/a?b=c&d=e).","level":"info"}`,
	"full": `{"$relay":1,"title":"All of it <&> \"quoted\" \\ 你好","text":"# Heading\n\nText with ` + "`code`" + `, *emphasis*, ~~no~~, a mention of \ue0000\ue001.\n\n- one\n- two\n\n> quoted\n\n` + "```go\\nx := 1\\n```" + `",` +
		`"level":"error","link":"https://example.com/1","fields":[{"name":"Issue","value":"#1 <b>","short":true},{"name":"Who","value":"\ue0000\ue001"}],` +
		`"actions":[{"text":"Review","url":"https://example.com/1/review"}],"image":{"url":"https://example.com/x.png","alt":"a graph"},"footer":"sent by the kit",` +
		`"mentions":[{"name":"Ann Example","email":"ann@example.com"}]}`,
	"bare": `{"$relay":1,"title":"Only a title"}`,
	"text": `"plain text with <tags> & *stars*"`,
	"long": `{"$relay":1,"title":"` + strings.Repeat("t", 1000) + `","text":"` + strings.Repeat("长 long text, ", 4000) + `","level":"warn"}`,
}

// programs make the same in plugins that have an engine, and what only they see.
var programs = func() map[string]string {
	all := map[string]string{
		"skip":  `$relay("default", function () { return null; });`,
		"throw": `$relay("default", function () { throw new Error("on purpose"); });`,
		"loop":  `$relay("default", function () { for (;;) {} });`,
		"none":  `$relay("default", function () {});`,
	}
	for name, message := range rendered {
		quoted, _ := json.Marshal(message) // a JSON string is one of JavaScript, too
		all[name] = `$relay("default", function () { return JSON.parse(` + string(quoted) + `); });`
	}
	return all
}()

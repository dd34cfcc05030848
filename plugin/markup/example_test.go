package markup_test

import (
	"fmt"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/markup"
)

// For a vendor that shows plain text: markup goes, people are named, and what is
// too long is cut and marked.
func ExamplePlain() {
	ann := []relay.Person{{Name: "Ann"}}
	text := "**Release 42** failed, \ue0000\ue001: see [the log](https://ci.example.com/42)."
	fmt.Println(markup.Plain(markup.Bytes).Markdown(text, ann, 200))
	fmt.Println(markup.Plain(markup.Bytes).Line("A title that is too long", nil, 12))
	// Output:
	// Release 42 failed, Ann: see the log (https://ci.example.com/42).
	// A title t…
}

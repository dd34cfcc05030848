// Package feishu delivers to groups of Feishu and of Lark, its international
// edition, through the webhooks of custom bots, and to people through the bot
// of an app.
//
// A portable message becomes a card (card JSON 2.0) whose header has the
// level's colour; a text stays a text; a native object is sent as it is after
// its sizes were checked. Every attempt is signed anew where the bot asks for
// signatures. README.md says what an operator sees.
package feishu

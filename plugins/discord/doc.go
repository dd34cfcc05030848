// Package discord delivers to Discord channels through webhooks, and to people
// directly by a bot.
//
// A portable message becomes one embed whose bar has the level's colour; people
// who are mentioned are called in the message's content, where Discord notifies
// them. A native object is sent as it is after its sizes were checked, with
// allowed_mentions and the destination's name and picture where it has none.
// README.md says what an operator sees.
//
// A bot opens its channel with a person ("Create DM") and posts there ("Create
// Message"), with a nonce that makes Discord take each delivery once. Nobody can
// be looked up: people are known by their ids only.
//
// The facts about Discord are those of its API documentation: "Execute
// Webhook", "Embed Limits", "Allowed Mentions Object", "Create DM", "Create
// Message", "Rate Limits" and "Opcodes and Status Codes".
package discord

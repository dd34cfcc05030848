// Package discord delivers to Discord channels through webhooks.
//
// A portable message becomes one embed whose bar has the level's colour; people
// who are mentioned are called in the message's content, where Discord notifies
// them. A native object is sent as it is after its sizes were checked, with
// allowed_mentions and the destination's name and picture where it has none.
// README.md says what an operator sees.
//
// The facts about Discord are those of its API documentation: "Execute
// Webhook", "Embed Limits", "Allowed Mentions Object", "Rate Limits" and
// "Opcodes and Status Codes".
package discord

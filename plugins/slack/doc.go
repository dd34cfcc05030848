// Package slack delivers to Slack: to channels through incoming webhooks or by
// an app's bot, and to people directly by the bot.
//
// A portable message becomes Block Kit: the title as a header, the rest in an
// attachment whose bar has the level's colour. A native object is sent as it is
// after its sizes were checked. README.md says what an operator sees.
//
// What the bot does it does by the Web API: users.lookupByEmail finds a person,
// conversations.open opens the chat with them, chat.postMessage posts. The facts
// are those of docs.slack.dev: the methods' own pages, "Rate limits" and
// "Incoming webhooks".
package slack

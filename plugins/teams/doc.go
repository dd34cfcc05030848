// Package teams delivers to Microsoft Teams: to a channel through a Power
// Automate flow ("Workflows") that is started by a webhook, and to a person
// through a bot, or through a flow that takes the recipient.
//
// A portable message becomes an Adaptive Card 1.4. Its text stands in runs of
// RichTextBlocks, which know no Markdown: how Teams reads Markdown differs
// between its clients, and no escape for it is documented. A native card is
// sent as it is after its size was checked. README.md says what an operator
// sees.
//
// A flow answers 202 before it posts: whether it could post is seen in its run
// history only. So everything that makes a flow fail is kept from it here.
//
// A bot cannot write to somebody by email. Graph finds the person and installs
// the bot's app for them, which opens a chat; the Bot Framework's connector
// takes the message. These are two services with a token each, and only the
// last call sends anything: whatever fails before it can be tried again.
package teams

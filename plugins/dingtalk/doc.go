// Package dingtalk delivers to DingTalk groups through custom robots, and to
// people through the robot of an app.
//
// A portable message becomes an action card, whose buttons are its actions, or
// markdown where it has none or calls somebody by phone number, which cards
// cannot. A native object is sent as it is after its shape and size were
// checked. README.md says what an operator sees.
//
// What is known of the vendor comes from its developer documentation
// (open.dingtalk.com/document): "Custom robots send group messages", "Customize
// robot security settings", "Server API error codes", "Chatbots send one-on-one
// chat messages in batches" and "Query users by phone number". A comment says
// so where something was only observed.
package dingtalk

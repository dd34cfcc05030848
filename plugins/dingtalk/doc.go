// Package dingtalk delivers to DingTalk groups through custom robots.
//
// A portable message becomes an action card, whose buttons are its actions, or
// markdown where it has none or calls somebody by phone number, which cards
// cannot. A native object is sent as it is after its shape and size were
// checked. README.md says what an operator sees.
//
// What is known of the vendor comes from its developer documentation
// (open.dingtalk.com/document): "Custom robots send group messages", "Customize
// robot security settings" and "Server API error codes". A comment says so
// where something was only observed.
package dingtalk

// Package slack delivers to Slack channels through incoming webhooks.
//
// A portable message becomes Block Kit: the title as a header, the rest in an
// attachment whose bar has the level's colour. A native object is sent as it is
// after its sizes were checked. README.md says what an operator sees.
package slack

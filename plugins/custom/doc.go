// Package custom delivers to a receiver of one's own: any HTTP endpoint that
// takes JSON. It sends the body of the API definition that the "Custom" webhook
// of Bytebase has (format bytebase), or the event itself (format event).
// README.md says what an operator sees.
package custom

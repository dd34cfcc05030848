// Package custom delivers to a receiver of one's own: any HTTP endpoint that
// takes JSON. It sends the body of the API definition that the "Custom" webhook
// of Bytebase has (format bytebase), the event itself (format event), or that
// event in a CloudEvent (format cloudevents), and signs every attempt as
// Standard Webhooks say where there is a secret. README.md says what an operator
// sees.
package custom

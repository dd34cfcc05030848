// Package relay is the vocabulary that all of relay shares: events, deliveries,
// reports, messages, templates and secrets.
//
// relay is a sidecar: it accepts an app's events over localhost HTTP, keeps each
// on disk until it is dealt with, and hands every delivery to an out-of-process
// provider plugin, which renders the message with a JavaScript template and
// sends it to a channel or a person.
//
// The words:
//
//   - An [Event] is what the app handed over.
//   - A destination is a configured place that wants events.
//   - A [Delivery] is one event to one destination, or to one recipient of it:
//     the unit that is retried, logged and replayed.
//   - An [Attempt] is one try of a delivery.
//   - A provider is the code that speaks one chat system; it runs in a plugin
//     process and answers every attempt with a [Report].
//   - A template is a script that turns an event into a [Message]; compiled, it
//     is a [Program].
//
// This package imports only the standard library and holds no behaviour beyond
// what the words themselves need, so that every other package can speak of the
// same things without importing a sibling. Values are plain data: nothing here
// is safe for concurrent change, and nothing starts a goroutine.
package relay

// Package post sends one JSON request to a vendor and says what came of it.
//
// It promises:
//
//   - A request of which a byte may have left is never sent a second time.
//     Only a blip before that (connection refused, an idle connection that the
//     vendor had closed) is bridged, by go-retryablehttp, within the attempt.
//   - Redirects are answers, not followed. TLS is verified. Proxies are taken
//     from the environment.
//   - An error never shows the URL, and what [Client.Send] and [Log] give to
//     the sent log is masked first and cut afterwards.
//
// A provider's Send is then: fill the request, [Client.Send] with a function
// that reads the vendor's answer. What an answer means stays the provider's;
// [ByStatus] is what HTTP alone says.
package post

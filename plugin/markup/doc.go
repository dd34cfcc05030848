// Package markup turns the text of a portable message into a vendor's own
// markup. It reads CommonMark (goldmark, with strikethrough and bare links)
// once; a [Style] says in a few lines how one vendor writes what was read.
//
// It promises:
//
//   - Whatever a sender wrote is text: only what CommonMark calls a link
//     becomes one, and only to http, https and mailto; only a mention token
//     that a template put there becomes a mention, never a character
//     reference or an escape that spells one.
//   - The result is at most as long as asked, counted as the vendor counts
//     ([Unit]). What is too long is cut between two characters, never inside
//     an escape, a link or a mention, opened markup is closed again, and "…"
//     marks the place.
//   - Control characters and those that reverse the direction of text, which
//     can make one thing look like another, are left out.
//
// It leaves to the provider which of its fields take markup at all.
package markup

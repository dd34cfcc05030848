// Package watch notices that files have changed, whatever way the change came:
// written in place, renamed over, a Kubernetes ..data swap, a single-file bind
// mount, a directory that appears later.
//
// It promises: a change of content yields once when it has settled, within
// about a quarter of a second where the system sends notices (fsnotify) and
// within the poll interval where it sends none. A change of times or modes only
// yields nothing. A watcher does not die: without notices it polls.
//
// What changed, and whether that is any good, is the reader's to find out.
package watch

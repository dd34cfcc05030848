package watch

import "github.com/fsnotify/fsnotify"

// OnChecked calls f after every look.
func (o *Options) OnChecked(f func()) { o.testOnlyChecked = f }

// Notify takes the place of fsnotify.NewWatcher.
func (o *Options) Notify(f func() (*fsnotify.Watcher, error)) { o.testOnlyNotify = f }

package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Defaults of Options.
const (
	defaultPoll  = 5 * time.Second
	defaultQuiet = 100 * time.Millisecond
	defaultMax   = 2 * time.Second
)

// Options tune a Watcher; the zero value is good.
type Options struct {
	Poll   time.Duration // how often to look where no notice comes; 0: 5 s
	Quiet  time.Duration // a change has settled when nothing differs after this time; 0: 100 ms
	Max    time.Duration // what never settles yields after this time all the same; 0: 2 s
	Logger *slog.Logger  // nil: slog.Default()

	testOnlyNotify  func() (*fsnotify.Watcher, error) // instead of fsnotify.NewWatcher
	testOnlyChecked func()                            // after every look
}

// Watcher watches files and directory trees. Its methods may be called
// concurrently; Run is called once.
type Watcher struct {
	o       Options
	changed chan struct{} // capacity 1: what nobody took yet stands for what comes after
	wake    chan struct{} // capacity 1: the paths or the poll interval are new
	kick    chan struct{} // capacity 1

	mu    sync.Mutex // guards the fields below
	paths []string
	poll  time.Duration
}

// New makes a watcher that watches nothing yet.
func New(o Options) *Watcher {
	set := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	set(&o.Poll, defaultPoll)
	set(&o.Quiet, defaultQuiet)
	set(&o.Max, defaultMax)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.testOnlyNotify == nil {
		o.testOnlyNotify = fsnotify.NewWatcher
	}
	if o.testOnlyChecked == nil {
		o.testOnlyChecked = func() {}
	}
	return &Watcher{o: o, poll: o.Poll, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
}

// C gives a signal for "perhaps something changed". Signals that were not
// taken are one signal.
func (w *Watcher) C() <-chan struct{} { return w.changed }

// Set says what to watch from now on: files, and directories with all that is
// below them but names that begin with a dot. They need not exist. A path that was not watched before counts as
// changed once, because it may have changed since the caller read it.
func (w *Watcher) Set(paths []string) {
	w.mu.Lock()
	w.paths = slices.Clone(paths)
	w.mu.Unlock()
	signal(w.wake)
}

// SetPoll changes how often to look where no notice comes.
func (w *Watcher) SetPoll(every time.Duration) {
	if every <= 0 {
		every = defaultPoll
	}
	w.mu.Lock()
	w.poll = every
	w.mu.Unlock()
	signal(w.wake)
}

// Kick yields a signal now, changed or not.
func (w *Watcher) Kick() { signal(w.kick) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is waiting already
	}
}

func (w *Watcher) settings() ([]string, time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.paths, w.poll
}

// Run watches until ctx ends, and then returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	n := newNotices(w.o)
	defer n.close()
	_, interval := w.settings()
	poll := time.NewTicker(interval)
	defer poll.Stop()
	settle := time.NewTimer(time.Hour)
	settle.Stop()
	defer settle.Stop()

	s := newSight()
	var last, candidate state // what was yielded last; what was seen last and not yielded yet
	var since time.Time       // when something first differed from what was yielded
	waiting := false          // the settle timer runs
	stirred := false          // a watched file was written since the last look
	look := func() {
		paths, _ := w.settings()
		n.follow(paths) // first: what changes after the look sends a notice
		now := s.see(paths)
		waiting = false
		switch {
		case now.equal(last):
			last, since = now, time.Time{} // paths that are watched no longer are forgotten
		case !since.IsZero() && (now.equal(candidate) && !stirred || time.Since(since) >= w.o.Max):
			last, since = now, time.Time{}
			signal(w.changed)
		default:
			if since.IsZero() {
				since = time.Now()
			}
			waiting = true
			settle.Reset(w.o.Quiet)
		}
		candidate, stirred = now, false
		w.o.testOnlyChecked()
	}
	look()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
			if _, now := w.settings(); now != interval {
				interval = now
				poll.Reset(now)
			}
			look()
		case <-w.kick:
			paths, _ := w.settings()
			n.follow(paths)
			last, since = s.see(paths), time.Time{}
			signal(w.changed)
		case <-settle.C:
			look()
		case <-poll.C:
			if !waiting {
				look()
			}
		case event := <-n.events():
			// Looks can meet a file truncated twice in a row while it is written.
			stirred = n.follows(event.Name) || stirred
			n.forget(event)
			if !waiting { // a busy directory next door must not put the look off
				waiting = true
				settle.Reset(w.o.Quiet)
			}
		case err := <-n.errors():
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				n.warn(err)
			}
			signal(w.wake) // notices may be lost
		}
	}
}

// state is what the watched paths hold: path → digest.
type state map[string]digest

// equal tells whether every path of s holds what it held in the other state.
func (s state) equal(other state) bool {
	for path, sum := range s {
		if before, ok := other[path]; !ok || before != sum {
			return false
		}
	}
	return true
}

package metrics

import (
	"maps"
	"slices"
	"sync/atomic"
)

// named are the counters of each thing of a kind that the configuration names.
// They come and go with it; one that stays keeps what it counted. set is for one
// caller at a time.
type named[T any] struct {
	current atomic.Pointer[map[string]T]
	make    func(name string) T
	drop    func(name string)
}

// of are the counters of a name, or the zero T.
func (n *named[T]) of(name string) (t T) {
	if all := n.current.Load(); all != nil {
		t = (*all)[name]
	}
	return t
}

func (n *named[T]) names() []string {
	all := n.current.Load()
	if all == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(*all))
}

func (n *named[T]) set(names []string) {
	next := make(map[string]T, len(names))
	old := map[string]T{}
	if all := n.current.Load(); all != nil {
		old = *all
	}
	for _, name := range names {
		if _, ok := next[name]; ok {
			continue
		}
		t, ok := old[name]
		if !ok {
			t = n.make(name)
		}
		next[name] = t
	}
	n.current.Store(&next)
	for name := range old {
		if _, ok := next[name]; !ok {
			n.drop(name)
		}
	}
}

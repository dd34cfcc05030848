package store_test

import (
	"testing"

	"github.com/relay-sidecar/relay/internal/store"
	"github.com/relay-sidecar/relay/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(dir string, o storetest.Options) (storetest.Store, error) {
		return store.Open(t.Context(), dir, store.Options{
			MaxPending: o.MaxPending, MaxPendingPerDestination: o.MaxPendingPerDestination, Now: o.Now,
		})
	})
}

var _ storetest.Store = (*store.Store)(nil)

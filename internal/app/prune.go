package app

import (
	"context"
	"time"
)

const (
	pruneEvery = time.Minute
	// Others have their turn between two steps, of so many deliveries.
	pruneStep = 500
	sizeStep  = 50
)

// prune deletes what is older than store.retain, and while the database is
// larger than store.max_size also what finished since, the oldest first.
func (a *App) prune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		a.pruneOld(ctx)
		a.pruneLarge(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) pruneOld(ctx context.Context) {
	before := time.Now().Add(-a.current.Load().cfg.Store.Retain)
	for n := pruneStep; n == pruneStep && ctx.Err() == nil; {
		var err error
		if n, err = a.store.Prune(ctx, before, pruneStep); err != nil {
			a.logPrune(ctx, err)
			return
		}
	}
}

func (a *App) pruneLarge(ctx context.Context) {
	most := a.current.Load().cfg.Store.MaxSize
	deleted := 0
	for ctx.Err() == nil {
		size, err := a.store.Size(ctx)
		n := 0
		if err == nil && size > most {
			n, err = a.store.Prune(ctx, time.Now(), sizeStep)
		}
		deleted += n
		switch {
		case err != nil:
			a.logPrune(ctx, err)
			return
		case size <= most:
			if deleted > 0 {
				a.logger.Warn("the store reached store.max_size; finished deliveries went before their time", "count", deleted, "max_size", most)
			}
			return
		case n == 0: // what is left is not finished
			a.logger.Warn("the store is larger than store.max_size, and nothing finished is left in it", "size", size, "max_size", most)
			return
		}
	}
}

func (a *App) logPrune(ctx context.Context, err error) {
	if ctx.Err() == nil {
		a.logger.Warn("old deliveries were not deleted", "error", err)
	}
}

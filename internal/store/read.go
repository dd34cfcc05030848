package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/relay-sidecar/relay"
	sqlite "modernc.org/sqlite"
)

// readConnections bounds what reads at once: people and their tools, not
// deliveries.
const readConnections = 4

func openReads(ctx context.Context, path string) (*sql.DB, error) {
	name, err := dataSource(path, nil, "mode=ro")
	if err != nil {
		return nil, err
	}
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(readConnections)
	db.SetMaxIdleConns(readConnections)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// query asks within one read transaction: all answers are of the same moment.
type query struct {
	ctx context.Context
	tx  *sql.Tx
}

// read runs f in a read transaction. It sees what was committed before it began.
func (s *Store) read(ctx context.Context, f func(query) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.mu.RLock()
	closed := s.closed
	s.mu.RUnlock()
	if closed {
		return relay.ErrClosed
	}
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.readError(ctx, err)
	}
	defer tx.Rollback() // nothing was written
	return s.readError(ctx, f(query{ctx, tx}))
}

func (s *Store) readError(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, relay.ErrNotFound):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("read the store: %w", explain(err))
}

// each calls row for every row of the answer.
func (q query) each(text string, args []any, row func(scan func(...any) error) error) error {
	rows, err := q.tx.QueryContext(q.ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

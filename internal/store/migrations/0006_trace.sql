-- +goose Up

-- The W3C trace context under which the event was accepted; null: not traced.
ALTER TABLE events ADD COLUMN trace TEXT;

-- +goose Up

-- When what was being sent as relay ended last was claimed; 0: nothing was. What
-- became of it is not known.
ALTER TABLE deliveries ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;

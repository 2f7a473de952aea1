-- +goose Up
-- A user's sessions in all organizations are listed, ended together, and limited in number.
CREATE INDEX sessions_user ON sessions (user_id, created_at DESC, id DESC);

-- +goose Down
DROP INDEX sessions_user;

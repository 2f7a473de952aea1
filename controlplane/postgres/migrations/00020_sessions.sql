-- +goose Up
-- A person's sessions, whatever their organization: listed, ended together, and limited in number.
CREATE INDEX sessions_user ON sessions (user_id, created_at DESC, id DESC);

-- +goose Down
DROP INDEX sessions_user;

-- +goose Up
-- A person becomes a member only with their consent: one who is invited by login stays here until
-- they accept. The row remains after they decline, so that they are not invited again.
CREATE TABLE member_invitations (
    org_id          text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id         text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role            text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    created_by      text NOT NULL, -- ID of the user or token; empty if unknown
    creator_user_id text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    declined_at     timestamptz,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX member_invitations_user ON member_invitations (user_id);
CREATE INDEX member_invitations_list ON member_invitations (org_id, created_at, user_id);

-- Members who never signed in were added by another user.
INSERT INTO member_invitations (org_id, user_id, role, created_by, created_at, expires_at)
    SELECT m.org_id, m.user_id, m.role, '', m.created_at, now() + interval '30 days'
    FROM organization_members m JOIN users u ON u.id = m.user_id WHERE u.joined_at IS NULL;
DELETE FROM organization_members m USING users u WHERE u.id = m.user_id AND u.joined_at IS NULL;

-- The user behind a token or an invitation: the one who created it, or the one behind the token
-- that created it. It is kept after that token is deleted. Empty if an operator created it.
ALTER TABLE api_tokens ADD COLUMN creator_user_id text NOT NULL DEFAULT '';
ALTER TABLE invitations ADD COLUMN creator_user_id text NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN created_by text NOT NULL DEFAULT '';
WITH RECURSIVE behind (id, user_id) AS (
    SELECT id, created_by FROM api_tokens WHERE created_by LIKE 'usr\_%'
    UNION
    SELECT t.id, b.user_id FROM api_tokens t JOIN behind b ON t.created_by = b.id
)
UPDATE api_tokens t SET creator_user_id = b.user_id FROM behind b WHERE b.id = t.id;
UPDATE invitations i SET creator_user_id = CASE WHEN i.created_by LIKE 'usr\_%' THEN i.created_by
    ELSE coalesce((SELECT t.creator_user_id FROM api_tokens t WHERE t.org_id = i.org_id AND t.id = i.created_by), '') END;
UPDATE webhooks w SET created_by = l.actor_id
    FROM audit_logs l WHERE l.org_id = w.org_id AND l.entity_id = w.id AND l.action = 'webhook.created';
CREATE INDEX api_tokens_creator ON api_tokens (org_id, creator_user_id) WHERE creator_user_id <> '';

-- A trigger, so that it also applies to rows that the previous version creates.
-- +goose StatementBegin
CREATE FUNCTION set_creator_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.created_by LIKE 'usr\_%' THEN
        NEW.creator_user_id := NEW.created_by;
    ELSE
        NEW.creator_user_id := coalesce((SELECT t.creator_user_id FROM api_tokens t WHERE t.org_id = NEW.org_id AND t.id = NEW.created_by), '');
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER api_tokens_creator BEFORE INSERT ON api_tokens FOR EACH ROW EXECUTE FUNCTION set_creator_user();
CREATE TRIGGER invitations_creator BEFORE INSERT ON invitations FOR EACH ROW EXECUTE FUNCTION set_creator_user();
CREATE TRIGGER member_invitations_creator BEFORE INSERT OR UPDATE OF created_by ON member_invitations
    FOR EACH ROW EXECUTE FUNCTION set_creator_user();

-- +goose Down
DROP TRIGGER api_tokens_creator ON api_tokens;
DROP TRIGGER invitations_creator ON invitations;
DROP TABLE member_invitations;
DROP FUNCTION set_creator_user;
ALTER TABLE webhooks DROP COLUMN created_by;
ALTER TABLE invitations DROP COLUMN creator_user_id;
ALTER TABLE api_tokens DROP COLUMN creator_user_id;

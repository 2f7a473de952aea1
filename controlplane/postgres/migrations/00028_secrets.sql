-- +goose Up
-- The secrets of tokens and webhooks are rows. valid_until is null for the current one.
CREATE TABLE token_secrets (
    hash        bytea PRIMARY KEY CHECK (length(hash) = 32),
    org_id      text NOT NULL,
    token_id    text NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
    prefix      text NOT NULL,
    created_at  timestamptz NOT NULL,
    valid_until timestamptz
);
CREATE INDEX token_secrets_token ON token_secrets (token_id);
CREATE UNIQUE INDEX token_secrets_current ON token_secrets (token_id) WHERE valid_until IS NULL;
CREATE INDEX token_secrets_ended ON token_secrets (valid_until) WHERE valid_until IS NOT NULL;

CREATE TABLE webhook_secrets (
    webhook_id  text NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    sealed      bytea NOT NULL, -- with the webhook's ID as associated data
    org_id      text NOT NULL,
    prefix      text NOT NULL,
    created_at  timestamptz NOT NULL,
    valid_until timestamptz,
    PRIMARY KEY (webhook_id, sealed)
);
CREATE UNIQUE INDEX webhook_secrets_current ON webhook_secrets (webhook_id) WHERE valid_until IS NULL;
CREATE INDEX webhook_secrets_ended ON webhook_secrets (valid_until) WHERE valid_until IS NOT NULL;

-- The previous version of the program knows only the columns of api_tokens and webhooks, which this
-- version also writes. The triggers add the secrets that the previous version writes. A later
-- migration drops the triggers and token_hash, token_prefix, previous_hash, previous_until,
-- sealed_secret, and previous_sealed_secret.
-- +goose StatementBegin
CREATE FUNCTION keep_token_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM token_secrets WHERE hash = NEW.token_hash) THEN
        UPDATE token_secrets SET valid_until = coalesce(NEW.previous_until, now()) WHERE token_id = NEW.id AND valid_until IS NULL;
        INSERT INTO token_secrets (hash, org_id, token_id, prefix, created_at)
        VALUES (NEW.token_hash, NEW.org_id, NEW.id, NEW.token_prefix, coalesce(NEW.rotated_at, NEW.created_at));
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION keep_webhook_secret() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM webhook_secrets WHERE webhook_id = NEW.id AND sealed = NEW.sealed_secret) THEN
        UPDATE webhook_secrets SET valid_until = coalesce(NEW.previous_until, now()) WHERE webhook_id = NEW.id AND valid_until IS NULL;
        INSERT INTO webhook_secrets (webhook_id, sealed, org_id, prefix, created_at)
        VALUES (NEW.id, NEW.sealed_secret, NEW.org_id, 'whsec_', NEW.updated_at);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- Before the copy, because they lock out writers of the previous version.
CREATE TRIGGER api_tokens_secret AFTER INSERT OR UPDATE OF token_hash ON api_tokens
    FOR EACH ROW EXECUTE FUNCTION keep_token_secret();
CREATE TRIGGER webhooks_secret AFTER INSERT OR UPDATE OF sealed_secret ON webhooks
    FOR EACH ROW EXECUTE FUNCTION keep_webhook_secret();

-- The prefixes of previous secrets are unknown, except for what all have in common.
INSERT INTO token_secrets (hash, org_id, token_id, prefix, created_at, valid_until)
    SELECT token_hash, org_id, id, token_prefix, coalesce(rotated_at, created_at), NULL FROM api_tokens
    UNION ALL
    SELECT previous_hash, org_id, id, 'dcv_', created_at, previous_until FROM api_tokens WHERE previous_hash IS NOT NULL;
INSERT INTO webhook_secrets (webhook_id, sealed, org_id, prefix, created_at, valid_until)
    SELECT id, sealed_secret, org_id, 'whsec_', coalesce(previous_until - interval '24 hours', created_at), NULL FROM webhooks
    UNION ALL
    SELECT id, previous_sealed_secret, org_id, 'whsec_', created_at, previous_until FROM webhooks
    WHERE previous_sealed_secret IS NOT NULL AND previous_sealed_secret <> sealed_secret;

-- +goose Down
DROP TRIGGER webhooks_secret ON webhooks;
DROP TRIGGER api_tokens_secret ON api_tokens;
DROP FUNCTION keep_webhook_secret;
DROP FUNCTION keep_token_secret;
DROP TABLE webhook_secrets, token_secrets;

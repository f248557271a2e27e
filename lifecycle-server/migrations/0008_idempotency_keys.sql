-- Instants are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE idempotency_keys (
    idempotency_key TEXT PRIMARY KEY,
    fingerprint     TEXT NOT NULL,
    sandbox_id      TEXT NOT NULL,
    created_at      BIGINT NOT NULL
);

CREATE INDEX idempotency_keys_by_sandbox ON idempotency_keys (sandbox_id);
